"""One second try for an answer that cannot be read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from delphi_assets.llm.asking import loop, repair
from delphi_assets.llm.asking.client import Client
from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.requests import Message
from delphi_assets.prompts import Prompts
from tests.parts.asking import MODEL, ask, made, settings_of, stored
from tests.parts.fault_server import Asked, FaultServer, Reply


def read(completion: Completion) -> str | None:
    """The failure: anything but 'yes' cannot be read."""
    if completion.failure is not None:
        return completion.failure
    if not completion.answer:
        return failures.EMPTY
    if "sorry" in completion.answer:
        return failures.REFUSAL
    return None if completion.answer == "yes" else failures.UNPARSEABLE


def asked(root: Path, url: str, **settings: object) -> repair.ReadAnswer[str | None]:
    async def main() -> repair.ReadAnswer[str | None]:
        async with Client(settings_of(url, **settings), MODEL, made(root), "run") as client:
            return await repair.ask(client, ask("x"), read, lambda failure: failure, Prompts())

    return loop.run(main())


def answering(*replies: Reply) -> Callable[[Asked], Reply]:
    def answer(one: Asked) -> Reply:
        return replies[len(one.body["messages"]) // 2]

    return answer


def test_a_mended_answer_is_the_one(tmp_path: Path) -> None:
    with FaultServer(answering(Reply("perhaps"), Reply("yes"))) as server:
        found = asked(tmp_path, server.url)
        again = asked(tmp_path, server.url)
        assert len(server.asked) == 2, "a second run asks nothing"
        turns = server.asked[1].body["messages"]
    assert (found.result, found.completion.answer) == (None, "yes")
    assert again == found._replace(completion=again.completion)
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[1]["content"] == "perhaps"
    assert "could not be read" in turns[2]["content"]
    assert {(row["role"], row["answer"]) for row in stored(tmp_path)} == {
        ("test", "perhaps"),
        ("test", "yes"),
    }


def test_two_bad_answers_are_a_failure_of_the_first_question(tmp_path: Path) -> None:
    with FaultServer(answering(Reply("perhaps"), Reply("perhaps not"))) as server:
        found = asked(tmp_path, server.url)
        assert len(server.asked) == 2
    assert found.result == failures.UNPARSEABLE
    assert found.completion.request == ask("x").hash


def test_a_second_try_that_is_lost_is_open(tmp_path: Path) -> None:
    with FaultServer(answering(Reply("perhaps"), Reply(status=500))) as server:
        found = asked(tmp_path, server.url, max_retries=0)
    assert found.result == failures.SERVER
    assert found.result in failures.OPEN
    assert found.completion.request == ask("x").hash
    with FaultServer(answering(Reply("unused"), Reply("yes"))) as server:
        assert asked(tmp_path, server.url).result is None
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("reply", "repairs"), [(Reply("sorry"), True), (Reply("yes"), True), (Reply("no"), False)]
)
def test_what_is_not_asked_again(tmp_path: Path, reply: Reply, repairs: bool) -> None:
    with FaultServer(lambda _: reply) as server:
        asked(tmp_path, server.url, repair=repairs)
        assert len(server.asked) == 1


def test_an_empty_answer_makes_no_empty_turn() -> None:
    turns = (Message("system", "s"), Message("user", "u"))
    question = repair.again(ask("x", messages=turns), " ", failures.EMPTY, Prompts())
    assert [message.role for message in question.messages] == ["system", "user"]
    assert question.messages[1].content.startswith("u\n\n")
    assert "it was empty" in json.loads(question.messages_json)[1]["content"]
