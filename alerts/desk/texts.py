"""The texts of the pages, in every language of the desk: one line a text, English and Chinese."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from alerts.records import Alert

LANGUAGES = {"en": "English", "zh": "中文"}

TEXTS: dict[str, tuple[str, str]] = {
    # The frame of every page
    "tagline": ("sentiment of the markets, by topic", "市场情绪，按主题"),
    "skip": ("To the content", "跳到正文"),
    "weather": ("Weather", "总览"),
    "sign_in": ("Sign in", "登录"),
    "sign_out": ("Sign out", "退出"),
    "signed_in": ("signed in as {name}", "已登录：{name}"),
    "waiting_one": ("{n} correction waits for export", "{n} 条更正待导出"),
    "waiting_many": ("{n} corrections wait for export", "{n} 条更正待导出"),
    "live_on": ("● follows by itself", "● 自动更新"),
    "live_off": ("○ the desk does not answer; trying again", "○ 无法连接，正在重试"),
    "api": ("API", "API"),
    "as_of": ("as of", "截至"),
    "utc_note": ("Times are in UTC.", "时间为 UTC。"),
    "not_found": ("Not found", "未找到"),
    "not_found_text": (
        "There is no {what} in the database. It may not be recorded yet.",
        "数据库中没有 {what}，可能尚未记录。",
    ),
    "refused": ("Not done", "未执行"),
    "see_weather": ("To the weather", "返回总览"),
    # Signing in
    "login_text": (
        "Paste a token. Whoever runs Barograph makes one with:",
        "请粘贴令牌。运行 Barograph 的人可用以下命令生成：",
    ),
    "token": ("Token", "令牌"),
    "login_unknown": ("That token is unknown, or has been revoked.", "令牌不存在或已被撤销。"),
    "login_role": (
        "That token is for sending documents, not for the pages.",
        "该令牌仅用于发送文档，不能查看页面。",
    ),
    "login_again": (
        "The form was too old, or the browser keeps no cookies. Try again.",
        "表单已过期，或浏览器未启用 Cookie。请重试。",
    ),
    # Weather
    "firing_none": ("No alert is firing", "没有触发中的警报"),
    "firing_one": ("{n} alert firing", "{n} 个警报触发中"),
    "firing_many": ("{n} alerts firing", "{n} 个警报触发中"),
    "topics": ("Topics, worst first", "主题，最差在前"),
    "resolved_lately": ("Lately resolved", "最近恢复"),
    "all_alerts": ("all alerts", "全部警报"),
    "no_windows": (
        "No window has been recorded yet. Send documents, and check that the worker and the "
        "recorder run:",
        "尚无记录。请发送文档，并确认 worker 与 recorder 正在运行：",
    ),
    "no_news": (
        "No document has been counted since then: what follows is as it was.",
        "此后没有新文档：以下为当时的状况。",
    ),
    "search": ("Search", "搜索"),
    "search_hint": ("name of a topic", "主题名称"),
    "state": ("State", "状态"),
    "kind": ("Kind", "类别"),
    "any": ("all", "全部"),
    "state_alert": ("with an alert", "有警报"),
    "kind_watch": ("watchlist", "关注列表"),
    "kind_class": ("the model's topics", "模型主题"),
    "apply": ("Filter", "筛选"),
    "clear": ("show all", "显示全部"),
    "show_rest": ("show the other {n} too", "显示其余 {n} 个"),
    "none_match": ("No topic matches.", "没有符合的主题。"),
    "shown_of": ("{n} of {total}", "{n} / {total}"),
    "topic": ("topic", "主题"),
    "pressure": ("negative share, last hour", "近一小时负面占比"),
    "usual": ("usual", "平时"),
    "usual_share": ("usually {share}", "平时 {share}"),
    "of_stories": ("{negative} of {stories}", "{stories} 篇中 {negative}"),
    "few": ("hollow: under 5 stories", "空心：不足 5 篇"),
    "nothing_said": ("no story", "无报道"),
    "negative_n": ("negative", "负面"),
    "expected": ("expected", "预期"),
    "trend": ("last 24 h", "近 24 小时"),
    "trend_text": (
        "Negative stories an hour over the last 24 h: at most {most}",
        "近 24 小时每小时负面报道数：最多 {most}",
    ),
    "documents": ("documents", "文档"),
    "sources": ("sources", "来源"),
    "stories": ("stories", "报道"),
    "mood": ("mood", "情绪"),
    "mood_note": (
        "Mood is the mean of positive minus negative, −1 to +1. Sources are those of the hour of "
        "the clock. The usual share is that of the seven days before.",
        "情绪为正面减负面的均值，−1 至 +1。来源数按整点小时计。平时占比取此前七天。",
    ),
    "quiet_since": ("nothing since", "自此无消息："),
    "state_critical": ("critical", "严重"),
    "state_warning": ("warning", "警告"),
    "state_elevated": ("elevated", "偏高"),
    "state_calm": ("calm", "平稳"),
    "state_quiet": ("quiet", "静默"),
    "state_resolved": ("resolved", "已恢复"),
    "state_firing": ("firing", "触发"),
    "state_preliminary": ("preliminary", "初步"),
    "state_withdrawn": ("preliminary, withdrawn", "初步，已撤回"),
    "acknowledged_by": ("acknowledged by {name}", "{name} 已确认"),
    "silenced_until": ("silenced until", "静默至"),
    "not_acknowledged": ("not acknowledged", "未确认"),
    # Alerts
    "newest_first": ("newest first", "最新在前"),
    "no_alerts": ("No alert has fired yet.", "尚无警报。"),
    "no_alert_matches": ("No alert matches.", "没有符合的警报。"),
    "older": ("older alerts", "更早的警报"),
    "newest": ("to the newest", "回到最新"),
    # Alert
    "sentence": (
        "{topic}: {n} negative stories from {sources} sources in {span}, where {expected} were "
        "expected ({low} to {high})",
        "{topic}：{span}内 {sources} 个来源的 {n} 篇负面报道，预期 {expected}（{low} 至 {high}）",
    ),
    "under": ("under {n}", "不足 {n}"),
    "minutes": ("{n} min", "{n} 分钟"),
    "hours": ("{n} h", "{n} 小时"),
    "days": ("{n} days", "{n} 天"),
    "since": ("since", "开始于"),
    "ended": ("ended", "结束于"),
    "now": (
        "in the last hour {negative} of {stories} stories negative",
        "近一小时 {stories} 篇报道中 {negative} 篇负面",
    ),
    "found_expected": ("Found and expected", "实际与预期"),
    "compare_text": (
        "Negative stories in each {span}: {n} in the alert's window, {low} to {high} expected",
        "每 {span} 的负面报道数：警报窗口 {n}，预期 {low} 至 {high}",
    ),
    "key_block": ("negative stories in {span}", "每 {span} 负面报道"),
    "key_tested": ("the alert's window", "警报窗口"),
    "key_interval": (
        "expected of it: {mean}, 95 % between {low} and {high}",
        "预期 {mean}，95 % 区间 {low} 至 {high}",
    ),
    "block_title": (
        "{negative} negative of {stories} stories",
        "{stories} 篇报道中 {negative} 篇负面",
    ),
    "evidence": ("Evidence", "证据"),
    "evidence_none": ("No story was kept.", "未保留报道。"),
    "negative_share": ("negative {share}", "负面 {share}"),
    "told_by": ("told by {n} documents", "{n} 篇文档转述"),
    "label_wrong": ("Label wrong?", "标签有误？"),
    "should_be": ("It should be", "应为"),
    "positive": ("positive", "正面"),
    "neutral": ("neutral", "中性"),
    "negative": ("negative", "负面"),
    "correct": ("Correct it", "更正"),
    "corrected": ("corrected to {label} by {name}", "{name} 更正为{label}"),
    "other_windows": ("The other windows", "其他窗口"),
    "window": ("window", "窗口"),
    "surprise_count": ("surprise of the count", "数量意外度"),
    "surprise_share": ("surprise of the share", "占比意外度"),
    "surprise_note": (
        "Surprise is −log₁₀ of the probability of as much by chance: 3 is one in a thousand. "
        "{hours} hours learned.",
        "意外度为偶然达到该值的概率的 −log₁₀：3 即千分之一。已学习 {hours} 小时。",
    ),
    "act": ("What to do", "处理"),
    "acknowledge": ("Acknowledge", "确认"),
    "acknowledge_text": ("Says to the others that you have it.", "告诉同事由您处理。"),
    "silence": ("Silence the topic", "静默该主题"),
    "silence_text": (
        "Nobody is told of this topic's spikes for that time. They are still recorded here.",
        "此期间不发送该主题的警报，仍会在此记录。",
    ),
    "unsilence": ("End the silence", "解除静默"),
    "silence_here": (
        "Not yet: delivery.alertmanager_url is not set, so Alertmanager goes on telling.",
        "目前无效：未设置 delivery.alertmanager_url，Alertmanager 会继续发送。",
    ),
    "for_time": ("For", "时长"),
    "your_name": ("Your name", "姓名"),
    "comment": ("Comment", "备注"),
    "history": ("What happened", "经过"),
    "when": ("when", "时间"),
    "what": ("what", "事项"),
    "who": ("who", "人员"),
    "did_acknowledge": ("acknowledged", "确认"),
    "did_silence": ("silenced until", "静默至"),
    "did_correct": ("{old} corrected to {new}", "{old} 更正为{new}"),
    "alertmanager_failed": ("Not taken by Alertmanager: {error}", "Alertmanager 未接受：{error}"),
    "in_alertmanager": ("also in Alertmanager", "已同步至 Alertmanager"),
    "deliveries": ("Deliveries", "投递"),
    "to": ("to", "目标"),
    "of": ("of", "内容"),
    "status": ("status", "状态"),
    "attempts": ("attempts", "次数"),
    "note": ("note", "备注"),
    "status_pending": ("pending", "等待"),
    "status_delivered": ("delivered", "已送达"),
    "status_dead": ("given up", "已放弃"),
    "no_deliveries": (
        "None: no target is set up for this topic and severity, the topic was silenced, or "
        "Alertmanager has not passed it on.",
        "无：未为该主题和级别设置目标，主题被静默，或 Alertmanager 尚未转发。",
    ),
    "made_with": (
        "alert {id} · rule {rule} · model {model} · settings {settings}",
        "警报 {id} · 规则 {rule} · 模型 {model} · 设置 {settings}",
    ),
    # Topic
    "span": ("Span", "时段"),
    "topic_key": ("negative stories", "负面报道"),
    "topic_chart": (
        "Negative stories by {each}, at most {top}; the table below has the numbers",
        "每{each}负面报道数，最多 {top}；下表列出数字",
    ),
    "each": ("a bar is {span}", "每条 {span}"),
    "labels": ("Labels of the documents", "文档的标签"),
    "labels_chart": ("Share of each label over time", "各标签占比随时间变化"),
    "label_share": ("{n} ({share})", "{n}（{share}）"),
    "alerts": ("Alerts", "警报"),
    "alerts_none": ("No alert in this span.", "此时段无警报。"),
    "numbers": ("The numbers", "数据表"),
    "from": ("from", "起始"),
    "bar_title": ("{negative} negative, {expected} expected", "负面 {negative}，预期 {expected}"),
}

TOPICS_ZH = {
    "analyst-update": "分析师动态",
    "fed-central-banks": "央行",
    "company-product-news": "公司与产品",
    "treasuries-corporate-debt": "国债与公司债",
    "dividend": "股息",
    "earnings": "财报",
    "energy-oil": "能源与石油",
    "financials": "金融",
    "currencies": "外汇",
    "general-news-opinion": "综合新闻与评论",
    "gold-metals-materials": "黄金、金属与材料",
    "ipo": "首次公开募股",
    "legal-regulation": "法律与监管",
    "ma-investments": "并购与投资",
    "macro": "宏观",
    "markets": "市场",
    "politics": "政治",
    "personnel-change": "人事变动",
    "stock-commentary": "个股评论",
    "stock-movement": "股价异动",
}


def choose(asked: str | None, kept: str | None, accepted: str) -> str:
    """The language of a page: what the address asks for, else the cookie, else the browser."""
    for wish in (asked, kept):
        if wish in LANGUAGES:
            return wish
    first = accepted.partition(",")[0].partition(";")[0].strip().lower()
    return "zh" if first.startswith("zh") else "en"


def translator(lang: str) -> Callable[..., str]:
    """A function that gives a text by its key, its values filled in."""
    column = list(LANGUAGES).index(lang)

    def text(key: str, /, **values: object) -> str:
        return TEXTS[key][column].format(**values)

    return text


def counted(lang: str, key: str, n: int) -> str:
    """A text that has one form for one and one for many."""
    return translator(lang)(f"{key}_{'one' if n == 1 else 'many'}", n=n)


def topic_name(topic: str, lang: str = "en") -> str:
    """A topic as people read it: ``class:stock-movement`` is "stock movement"."""
    kind, _, name = topic.partition(":")
    if kind != "class" or not name:
        return name or topic
    translated = TOPICS_ZH.get(name) if lang == "zh" else None
    return translated or name.replace("-", " ")


def is_called(topic: str, text: str, lang: str) -> bool:
    """Whether a topic's id, or its name, has this text in it, in any case."""
    wanted = text.casefold()
    return wanted in topic.casefold() or wanted in topic_name(topic, lang).casefold()


def span(seconds: float, lang: str = "en") -> str:
    """A length of time in whole units."""
    t = translator(lang)
    minutes = int(seconds // 60)
    if minutes < 60:
        return t("minutes", n=minutes)
    return t("hours", n=minutes // 60) if minutes <= 2880 else t("days", n=minutes // 1440)


def mean(value: float, lang: str = "en") -> str:
    """An expected number of stories."""
    return f"{value:.1f}" if value >= 0.1 else translator(lang)("under", n="0.1")


def sentence(alert: Alert, lang: str) -> str:
    """What happened, in one sentence."""
    window, baseline = alert.window, alert.baseline
    return translator(lang)(
        "sentence",
        topic=topic_name(alert.topic, lang),
        n=window.negative_stories,
        sources=window.sources,
        span=span((window.end - window.start).total_seconds(), lang),
        expected=mean(baseline.negative_stories, lang),
        low=f"{baseline.low:.0f}",
        high=f"{baseline.high:.0f}",
    )


def moment(time: datetime | None) -> str:
    """A time as people read it, in UTC; the script turns it into the reader's zone."""
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def count(value: float | None) -> str:
    """An expected number of stories, short."""
    if value is None:
        return "–"
    return f"{value:.1f}" if value >= 0.1 or value == 0 else "<0.1"


def percent(share: float) -> str:
    """A share of 0 to 1."""
    return f"{100 * share:.0f} %"
