"""``imcc ops``: the ONNX operators that can be imported."""

from __future__ import annotations

from dataclasses import asdict

import rich_click as click

from .options import debug_option, json_option
from .text import echo_json, table


@click.command("ops")
@click.option("--markdown", is_flag=True, help="Print the page docs/reference/ops.md.")
@json_option
@debug_option
def command(markdown: bool, as_json: bool) -> None:
    """List the supported ONNX operators and the conditions on them."""
    from ..frontend import supported_operators
    from ..report.reference import ops_page

    operators = supported_operators()
    if as_json:
        echo_json("ops", {"operators": [asdict(operator) for operator in operators]})
    elif markdown:
        click.echo(ops_page(), nl=False)
    else:
        rows = [
            (
                o.op_type,
                "folded" if o.constants_only else f"{o.since}+",
                "; ".join(o.constraints),
            )
            for o in operators
        ]
        click.echo(table(["operator", "opset", "conditions"], rows))
