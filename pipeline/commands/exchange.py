"""`mimdata import` and `mimdata export`: what others write and read."""

from __future__ import annotations

import click

from mimdata.pipeline.commands import csd, pickles


@click.group("import")
def import_group() -> None:
    """Make a dataset version of what others have written."""


@click.group("export")
def export_group() -> None:
    """Write a dataset version as others read it."""


import_group.add_command(csd.import_command)
import_group.add_command(pickles.import_command)
export_group.add_command(csd.export_command)
export_group.add_command(pickles.export_command)
