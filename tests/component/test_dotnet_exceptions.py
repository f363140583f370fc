"""exceptions: what lies on a .NET process's heap, as the program says it itself."""

import os

import pytest

from lib.dotnet import createdump


@pytest.fixture
def mishap(dotnet, targets, runtime, seed):
    return dotnet.start(targets, "Mishap", runtime, seed)


def own_type(mishap, name):
    return f"Mishap_{mishap.tag}.{name}"


def as_said(mishap, entry):
    """An exception of the answer in the words of the program."""
    inner = entry["inner"]
    frames = [frame["method"] for frame in entry["frames"] if frame["method"]]
    return (entry["type"], entry["message"], entry["count"],
            tuple(method for method in frames if method.startswith(f"Mishap_{mishap.tag}.")),
            (inner["type"], inner["message"]) if inner else None,
            entry["threads"][0]["name"] if entry["threads"] else None)


def says(line):
    inner = line["inner"]
    # Reflection knows no more than the definition, the heap that all references share one code.
    frames = [frame.replace("Shelf`1[T].Take(U,",
                            "Shelf`1[System.__Canon].Take[System.__Canon](System.__Canon,")
              for frame in line["frames"]]
    return (line["type"], line["message"], line["count"], tuple(frames),
            tuple(inner) if inner else None, line["thread"])


def test_each_kind_is_counted_with_its_stack(podsnap, mishap):
    answer = podsnap.run("exceptions", "--pid", mishap.pid, "--limit", 0, "--json").json()
    assert answer["kinds"] == len(answer["exceptions"])
    assert answer["found"] == sum(entry["count"] for entry in answer["exceptions"])
    assert answer["lost_bytes"] == 0
    shown = [as_said(mishap, entry) for entry in answer["exceptions"]]
    said = [says(line) for line in mishap.said("exception")]
    assert len(said) >= 9 and max(line[2] for line in said) >= 3
    assert [line for line in said if line not in shown] == []
    own = [line for line in shown if line[0].startswith(f"Mishap_{mishap.tag}.")]
    assert sorted(map(repr, own)) == sorted(repr(line) for line in said
                                            if line[0].startswith(f"Mishap_{mishap.tag}."))
    # What a thread handles comes first, what was never thrown last.
    assert shown[0][5].startswith("handles-") and all(line[5] is None for line in shown[1:])
    thrown = [bool(entry["frames"]) for entry in answer["exceptions"]]
    assert thrown == sorted(thrown, reverse=True) and thrown.count(False) >= 2


def test_text(podsnap, mishap):
    kind = own_type(mishap, "PaymentFailed")
    text = podsnap.run("exceptions", "--pid", mishap.pid, "--type", f"^{kind}$").text
    line, *others = [line for line in mishap.said("exception") if line["type"] == kind]
    assert text.startswith(f"{line['count'] + len(others)} exceptions of {1 + len(others)} kinds\n")
    part, = [part for part in text.split("\n\n") if part.startswith(f"{line['count']}, the first")]
    assert f"\n{kind}: {line['message']} (0x80131509)\n" in part
    assert part.count("\n  at ") >= len(line["frames"])
    never, = [part for part in podsnap.run("exceptions", "--pid", mishap.pid).text.split("\n\n")
              if "first line" in part]
    assert never.splitlines()[1:] == [f"{own_type(mishap, 'OrderFailed_' + mishap.tag)}: first line"
                                      " (0x80131509)", "    second ?[31mline"]
    handled, = [part for part in text.split("\n\n") if "handled by thread" in part]
    assert f'"{others[-1]["thread"]}")' in handled


def test_same_from_every_source(podsnap, dotnet, mishap, runtime, tmp_path):
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", mishap.pid, "--core=heap", "-o", path)
    core = createdump(dotnet, runtime, mishap.pid, tmp_path / "core")
    text = podsnap.run("exceptions", "--pid", mishap.pid).text
    assert own_type(mishap, "OrderFailed_") in text
    assert podsnap.run("exceptions", path).text == text
    assert podsnap.run("exceptions", core).text == text
    assert os.path.getsize(path) < os.path.getsize(core)


def test_none_of_that_type(podsnap, mishap):
    answer = podsnap.run("exceptions", "--pid", mishap.pid, "--type", "NoSuchType")
    assert answer.text == "0 exceptions of 0 kinds\n"
