"""NetDefs as JSON: the form in which the golden nets are written and `print_net.py --json` answers."""

from __future__ import annotations

from typing import Any

from vmz.netdef.builder import get_arguments, make_argument
from vmz.netdef.protos import NetDef, OperatorDef


def device_to_json(device: Any) -> dict[str, Any]:
    """{"device_type", "device_id"} always, the other fields when set."""
    found = {"device_type": device.device_type, "device_id": device.device_id}
    found.update((field.name, value) for field, value in device.ListFields() if field.name != "extra_info")
    return found


def op_to_json(op: Any) -> dict[str, Any]:
    """One OperatorDef: type, input, output, args; name, engine, device_option, ... only when set."""
    found: dict[str, Any] = {
        "type": op.type,
        "input": list(op.input),
        "output": list(op.output),
        "args": get_arguments(op),
    }
    found.update({field: getattr(op, field) for field in ("name", "engine") if getattr(op, field)})
    if op.HasField("device_option"):
        found["device_option"] = device_to_json(op.device_option)
    if op.control_input:
        found["control_input"] = list(op.control_input)
    if op.is_gradient_op:
        found["is_gradient_op"] = True
    return found


def net_to_json(net: Any) -> dict[str, Any]:
    """A NetDef with its ops in order; `type`, `num_workers` and `args` of the net only when set."""
    found: dict[str, Any] = {
        "name": net.name,
        "op": [op_to_json(op) for op in net.op],
        "external_input": list(net.external_input),
        "external_output": list(net.external_output),
    }
    found.update({field: getattr(net, field) for field in ("type", "num_workers") if getattr(net, field)})
    if net.arg:
        found["args"] = get_arguments(net)
    return found


def net_from_json(form: dict[str, Any]) -> Any:
    """The NetDef that `net_to_json` would write as `form`."""
    net = NetDef(name=form["name"])
    for entry in form["op"]:
        op = OperatorDef(type=entry["type"], input=entry["input"], output=entry["output"])
        op.arg.extend(make_argument(name, value) for name, value in entry["args"].items())
        for field in ("name", "engine", "is_gradient_op"):
            if entry.get(field):
                setattr(op, field, entry[field])
        for field, value in entry.get("device_option", {}).items():
            setattr(op.device_option, field, value)
        op.control_input.extend(entry.get("control_input", []))
        net.op.append(op)
    net.external_input.extend(form.get("external_input", []))
    net.external_output.extend(form.get("external_output", []))
    for field in ("type", "num_workers"):
        if form.get(field):
            setattr(net, field, form[field])
    net.arg.extend(make_argument(name, value) for name, value in form.get("args", {}).items())
    return net
