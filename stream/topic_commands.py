"""``barograph topics …``: the Kafka topics."""

from __future__ import annotations

import typer

from stream.commands import Bootstrap, Config, settings_of

app = typer.Typer(no_args_is_help=True, help="The Kafka topics.")


@app.command("create")
def create_topics(config: Config = None, bootstrap: Bootstrap = None) -> None:
    """Make the topics that are missing, and give all of them the retention of the settings."""
    from stream.topics import adjust, create

    settings = settings_of(config, bootstrap)
    done = [f"made {name}" for name in create(settings)]
    done += [f"changed {change}" for change in adjust(settings)]
    print("\n".join(done) or "all topics are there")


@app.command("describe")
def describe_topics(config: Config = None, bootstrap: Bootstrap = None) -> None:
    """List the topics as they are."""
    from stream.topics import describe

    for row in describe(settings_of(config, bootstrap)):
        if row.exists:
            print(
                f"{row.name:28} {row.partitions:4} partitions  x{row.replication_factor}  "
                f"{row.retention_hours} h"
            )
        else:
            print(f"{row.name:28} missing: barograph topics create")
