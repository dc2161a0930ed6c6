from __future__ import annotations

from tests.engines.small_nets import net, normalised, op
from vmz.netdef.pruning import NO_LABEL, prune, split


def test_only_what_the_output_needs() -> None:
    _, main = normalised()
    pruned = prune(main, ["s/data"], ["s/softmax"])
    assert [o.type for o in pruned.op] == [*(o.type for o in main.op[:-2]), "Softmax"]
    assert list(pruned.op[-1].input) == ["s/fc"] and list(pruned.op[-1].output) == ["s/softmax"]
    names = "s/data s/a_w s/bn_s s/bn_b s/bn_rm s/bn_riv s/fc_w s/fc_b"
    assert list(pruned.external_input) == names.split() and list(pruned.external_output) == ["s/softmax"]
    assert pruned.name == main.name


def test_a_loss_that_is_wanted_keeps_its_label() -> None:
    _, main = normalised()
    pruned = prune(main, [], ["s/loss"])
    assert [o.type for o in pruned.op] == [o.type for o in main.op[:-1]]
    assert "s/label" in pruned.external_input


def test_from_a_blob_in_the_middle_and_past_a_reader() -> None:
    main = net(
        op("VideoInput", "reader", "data label"),
        op("StopGradient", "data", "data"),
        op("Conv", "data w", "a"),
        op("Relu", "a", "a"),
        op("Relu", "a", "b"),
        op("Sum", "a b", "c"),
    )
    assert [o.type for o in prune(main, ["data"], ["c"]).op] == ["StopGradient", "Conv", "Relu", "Relu", "Sum"]
    assert list(prune(main, ["data"], ["c"]).external_input) == ["data", "w"]
    assert list(prune(main, [], ["c"]).external_input) == ["reader", "w"]
    assert [o.type for o in prune(main, ["b"], ["b"]).op] == []


def test_a_net_in_two_parts_computes_the_same() -> None:
    """The softmax stays the one of SoftmaxWithLoss, which has other last digits than Softmax, but sees no labels."""
    _, main = normalised()
    first, rest = split(main, ["s/softmax"])
    assert [o.type for o in first.op] == [*(o.type for o in main.op[:-2]), "ConstantFill", "SoftmaxWithLoss"]
    fill, softmax = first.op[-2:]
    assert list(fill.input) == ["s/label"] and list(softmax.input) == ["s/fc", *fill.output]
    assert [o.type for o in rest.op] == ["SoftmaxWithLoss", "Accuracy"] and "s/label" in rest.external_input
    assert "s/label" in first.external_input and NO_LABEL not in first.external_input
    assert list(main.op[-2].input) == ["s/fc", "s/label"]  # as it was
    whole, nothing = split(main, ["s/loss", "s/accuracy"])
    assert list(whole.op) == list(main.op) and not nothing.op
