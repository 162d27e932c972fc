"""Panels and variables as all dashboards here have them: one look, one data source."""

from __future__ import annotations

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    statushistory,
    table,
    timeseries,
)
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH = 24
WINDOWS = ("5m", "15m", "1h", "24h")
COLOURS = {"negative": "red", "neutral": "#8a8f98", "positive": "green"}

Query = str | tuple[str, str]
"""An expression, or one with the legend of its series."""


def query(expression: Query, number: int = 0, *, instant: bool = False) -> prometheus.Dataquery:
    """A query of Prometheus, over the range shown or, with ``instant``, of now."""
    text, legend = (expression, "__auto") if isinstance(expression, str) else expression
    made = (
        prometheus.Dataquery()
        .expr(text)
        .legend_format(legend)
        .ref_id(chr(ord("A") + number))
        .datasource(SOURCE)
    )
    return made.instant() if instant else made.range()


def steps(*borders: tuple[float, str], base: str = "green") -> dashboard.ThresholdsConfig:
    """Colours from each value on; ``base`` below the first."""
    made = [Threshold(None, base), *(Threshold(value, colour) for value, colour in borders)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)


def number(
    title: str, expression: str, unit: str = "short", width: int = 4, text: str = ""
) -> stat.Panel:
    """One large figure with its course behind it."""
    return (
        stat.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .with_target(query(expression))
        .unit(unit)
        .graph_mode(BigValueGraphMode.AREA)
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(steps())
        .span(width)
        .height(4)
    )


def lines(
    title: str, *expressions: Query, unit: str = "short", width: int = 12, text: str = ""
) -> timeseries.Panel:
    """Lines over time, with a legend that tells the newest value."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .line_width(2)
        .fill_opacity(5)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .span(width)
        .height(8)
    )
    for place, expression in enumerate(expressions):
        panel.with_target(query(expression, place))
    return panel


def bars(
    title: str, *expressions: Query, unit: str = "short", width: int = 12, text: str = ""
) -> timeseries.Panel:
    """Bars over time, one on the other."""
    return (
        lines(title, *expressions, unit=unit, width=width, text=text)
        .draw_style(GraphDrawStyle.BARS)
        .fill_opacity(70)
        .line_width(0)
        .stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    )


def by_sentiment(panel: timeseries.Panel) -> timeseries.Panel:
    """The same with the colours of sentiment, by the names of the series."""
    for name, colour in COLOURS.items():
        panel.override_by_name(
            name, [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})]
        )
    return panel


def with_border(panel: timeseries.Panel, border: float) -> timeseries.Panel:
    """The same with a line at the value from which on something is wrong."""
    style = common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
    return panel.thresholds(steps((border, "red"))).thresholds_style(style)


def ranking(title: str, expression: Query, width: int = 12, text: str = "") -> bargauge.Panel:
    """Bars of now, lying, as the expression sorts them."""
    return (
        bargauge.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .with_target(query(expression, instant=True))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .orientation(VizOrientation.HORIZONTAL)
        .display_mode(BarGaugeDisplayMode.BASIC)
        .min(0)
        .span(width)
        .height(10)
    )


def mosaic(
    title: str, expression: Query, width: int = WIDTH, text: str = ""
) -> statushistory.Panel:
    """A row a series, a column a time, the value as a colour from 0 to 1."""
    return (
        statushistory.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .with_target(query(expression))
        .unit("percentunit")
        .min(0)
        .max(1)
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.CONTINUOUS_GR_YL_RD))
        .show_value(VisibilityMode.NEVER)
        .legend(common.VizLegendOptions().show_legend(False))
        .max_data_points(120)
        .span(width)
        .height(14)
    )


def states(
    title: str, *expressions: Query, width: int = WIDTH, text: str = ""
) -> statetimeline.Panel:
    """A row a series, coloured while it is 1."""
    panel = (
        statetimeline.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .thresholds(steps((1, "red"), base="transparent"))
        .show_value(VisibilityMode.NEVER)
        .legend(common.VizLegendOptions().show_legend(False))
        .span(width)
        .height(5)
    )
    for place, expression in enumerate(expressions):
        panel.with_target(query(expression, place))
    return panel


def buckets(title: str, expression: str, unit: str = "short", text: str = "") -> heatmap.Panel:
    """A histogram over time; the expression is by ``le``."""
    return (
        heatmap.Panel()
        .title(title)
        .description(text)
        .datasource(SOURCE)
        .with_target(query((expression, "{{le}}")).format(PromQueryFormat.HEATMAP))
        .unit(unit)
        .span(12)
        .height(8)
    )


def listing(
    title: str,
    *columns: tuple[str, str],
    key: str,
    units: dict[str, str] | None = None,
    width: int = 12,
    text: str = "",
) -> table.Panel:
    """A row for each value of the label ``key``, a column for each expression."""
    panel = table.Panel().title(title).description(text).datasource(SOURCE).span(width).height(10)
    for place, (_, expression) in enumerate(columns):
        panel.with_target(query(expression, place, instant=True).format(PromQueryFormat.TABLE))
    joined = len(columns) > 1
    if joined:
        panel.with_transformation(
            DataTransformerConfig("joinByField", options={"byField": key, "mode": "outer"})
        )
    shown = ["Value" if not joined else f"Value #{chr(ord('A') + n)}" for n in range(len(columns))]
    names = dict(zip(shown, (name for name, _ in columns), strict=True))
    panel.with_transformation(
        DataTransformerConfig("filterFieldsByName", options={"include": {"names": [key, *shown]}})
    )
    panel.with_transformation(
        DataTransformerConfig(
            "organize",
            options={"renameByName": names, "excludeByName": {}, "indexByName": {}},
        )
    )
    for name, unit in (units or {}).items():
        panel.override_by_name(name, [DynamicConfigValue("unit", unit)])
    return panel


def topic_link(panel: table.Panel) -> table.Panel:
    """The same where a topic leads to its dashboard."""
    url = (
        "/d/barograph-topic?var-topic=${__value.text}&${datasource:queryparam}&${__url_time_range}"
    )
    return panel.override_by_name(
        "topic", [DynamicConfigValue("links", [{"title": "Topic detail", "url": url}])]
    )


def window_variable() -> dashboard.CustomVariable:
    """The length of the trailing window shown."""
    return (
        dashboard.CustomVariable("window")
        .label("Window")
        .values(",".join(WINDOWS))
        .current(VariableOption(text="1h", value="1h"))
        .options([VariableOption(text=name, value=name, selected=name == "1h") for name in WINDOWS])
    )


def label_variable(name: str, label: str, metric: str) -> dashboard.QueryVariable:
    """The values that a label has."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": f"label_values({metric}, {name})", "refId": "A"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def board(uid: str, title: str, text: str, since: str) -> dashboard.Dashboard:
    """A dashboard with the choice of the data source and links to the others."""
    source = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    links = (
        dashboard.DashboardLink("Barograph")
        .type(DashboardLinkType.DASHBOARDS)
        .tags(["barograph"])
        .keep_time(True)
        .include_vars(True)
    )
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(text)
        .tags(["barograph"])
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time(since, "now")
        .refresh("30s")
        .link(links)
        .with_variable(source)
    )


def alerts_shown(name: str, expression: str, colour: str = "red") -> dashboard.AnnotationQuery:
    """Marks where alerts fired."""
    return (
        dashboard.AnnotationQuery()
        .name(name)
        .datasource(SOURCE)
        .enable(True)
        .hide(False)
        .icon_color(colour)
        .expr(expression)
    )
