#!/usr/bin/env python3
"""Uses a gateway by OpenAI's own client for Python, and by nothing else.

    openai_client.py URL

URL is the address that `candor up` printed. Every test holds for any chat model, a random one too.
"""

import json
import sys
import unittest
from typing import Literal

import openai
from pydantic import BaseModel

URL = sys.argv.pop()
# No second try: an answer that fails once is a failure.
CLIENT = openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0, timeout=60)
MODEL = CLIENT.models.list().data[0].id
# The likeliest tokens: a drawn answer may end anywhere.
CHAT = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Why is the sky blue?"}],
    "max_tokens": 12,
    "temperature": 0,
}
WEATHER = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo", "Lima"]}, "days": {"type": "integer", "minimum": 1, "maximum": 7}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
# Fits an object of that schema in a model whose tokens are bytes, with as much white space as a gateway lets through.
FORMED = CHAT | {"max_tokens": 1024}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "weather", "strict": True, "schema": WEATHER}}
FUNCTION = {"name": "weather", "description": "The weather of the next days", "parameters": WEATHER}


class Weather(BaseModel):
    """WEATHER, as a type."""

    city: Literal["Oslo", "Lima"]
    days: int


def receipts(answer: BaseModel) -> list[dict]:
    """The receipts that an answer, a chunk or a response names."""
    return answer.candor["receipts"]


class Test(unittest.TestCase):
    """What all tests need."""

    maxDiff = None

    def assert_weather(self, text: str) -> None:
        self.assertEqual(set(json.loads(text)), {"city", "days"})
        self.assertIn(Weather.model_validate_json(text).days, range(1, 8))

    def assert_held(self, receipt: str) -> None:
        document = CLIENT.get(f"/receipts/{receipt}", cast_to=object)
        self.assertEqual((document["version"], document["id"]), (1, receipt))
        verdict = CLIENT.post(f"/receipts/{receipt}/verify", cast_to=object)
        self.assertEqual((verdict["verdict"], verdict["receipt"]), ("held", receipt), verdict)


class Models(Test):
    def test_a_listed_model_can_be_retrieved(self) -> None:
        listed = CLIENT.models.list().data[0]
        retrieved = CLIENT.models.retrieve(MODEL)
        self.assertEqual(retrieved, listed)
        self.assertEqual(retrieved.object, "model")
        self.assertRegex(retrieved.candor["model_root"], "^0x[0-9a-f]{64}$")


class Chat(Test):
    def test_an_answer_has_text_usage_and_a_receipt_that_holds(self) -> None:
        raw = CLIENT.chat.completions.with_raw_response.create(**CHAT)
        answer = raw.parse()
        [choice] = answer.choices
        self.assertEqual((choice.message.role, choice.finish_reason), ("assistant", "length"))
        self.assertTrue(choice.message.content)
        self.assertEqual((answer.object, answer.model), ("chat.completion", MODEL))
        self.assertEqual(answer.usage.completion_tokens, 12)
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + 12)
        [receipt] = receipts(answer)
        self.assertEqual((receipt["choice"], receipt["finish"], receipt["tokens"]), (0, "length", 12))
        self.assertEqual(raw.headers["x-candor-receipt"], receipt["id"])
        self.assert_held(receipt["id"])

    def test_a_stream_says_the_same_and_ends_with_usage_and_a_receipt(self) -> None:
        whole = CLIENT.chat.completions.create(**CHAT)
        *chunks, last = CLIENT.chat.completions.create(
            **CHAT, stream=True, stream_options={"include_usage": True}
        )
        self.assertEqual({chunk.id for chunk in chunks}, {last.id})
        self.assertEqual({chunk.object for chunk in chunks}, {"chat.completion.chunk"})
        choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
        self.assertEqual(choices[0].delta.role, "assistant")
        text = "".join(choice.delta.content or "" for choice in choices)
        self.assertEqual(text, whole.choices[0].message.content)
        self.assertGreater(sum(1 for choice in choices if choice.delta.content), 1)
        reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
        self.assertEqual(reasons, ["length"])
        self.assertEqual([chunk.usage for chunk in chunks if chunk.usage], [])
        self.assertEqual((last.choices, last.usage), ([], whole.usage))
        self.assert_held(receipts(last)[0]["id"])

    def test_a_client_that_leaves_a_stream_is_served_again(self) -> None:
        long = CHAT | {"max_tokens": 500}
        with CLIENT.chat.completions.create(**long, stream=True) as stream:
            self.assertEqual(next(stream).choices[0].delta.role, "assistant")
        answer = CLIENT.chat.completions.create(**CHAT)
        self.assertEqual(answer.usage.completion_tokens, 12)

    def test_the_stream_helper_puts_a_parsed_answer_together(self) -> None:
        with CLIENT.chat.completions.stream(**FORMED, response_format=Weather) as stream:
            text = "".join(event.delta for event in stream if event.type == "content.delta")
            message = stream.get_final_completion().choices[0].message
        self.assertEqual(message.content, text)
        self.assertEqual(message.parsed, Weather.model_validate_json(text))

    def test_a_seed_repeats_an_answer_and_two_choices_differ(self) -> None:
        request = CHAT | {"seed": 7, "n": 2, "temperature": 1.5}
        first, second = (CLIENT.chat.completions.create(**request) for _ in range(2))
        texts = [choice.message.content for choice in first.choices]
        self.assertEqual([choice.message.content for choice in second.choices], texts)
        self.assertEqual([choice.index for choice in first.choices], [0, 1])
        self.assertNotEqual(texts[0], texts[1])
        self.assertEqual(first.system_fingerprint, second.system_fingerprint)
        self.assertEqual(first.usage, second.usage)
        for receipt in receipts(first):
            self.assert_held(receipt["id"])

    def test_an_answer_that_the_host_draws_holds(self) -> None:
        answer = CLIENT.chat.completions.create(**CHAT | {"temperature": 1})
        self.assert_held(receipts(answer)[0]["id"])

    def test_a_stop_string_ends_the_text_before_it(self) -> None:
        request = FORMED | {"response_format": SCHEMA}
        text = CLIENT.chat.completions.create(**request).choices[0].message.content
        [choice] = CLIENT.chat.completions.create(**request, stop=["never", "days"]).choices
        self.assertEqual((choice.message.content, choice.finish_reason), (text.split("days")[0], "stop"))

    def test_every_token_has_its_probability_and_that_of_the_likeliest(self) -> None:
        [choice] = CLIENT.chat.completions.create(**CHAT, logprobs=True, top_logprobs=3).choices
        self.assertEqual(len(choice.logprobs.content), 12)
        for token in choice.logprobs.content:
            self.assertLessEqual(token.logprob, 0)
            self.assertEqual(len(token.top_logprobs), 3)
            self.assertEqual(token.top_logprobs[0].logprob, token.logprob)
            ranked = [top.logprob for top in token.top_logprobs]
            self.assertEqual(ranked, sorted(ranked, reverse=True))
        spelled = b"".join(bytes(token.bytes) for token in choice.logprobs.content)
        self.assertEqual(spelled.decode(errors="replace"), choice.message.content)

    def test_an_answer_keeps_to_a_schema(self) -> None:
        answer = CLIENT.chat.completions.create(**FORMED, response_format=SCHEMA)
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assert_weather(answer.choices[0].message.content)
        self.assert_held(receipts(answer)[0]["id"])
        parsed = CLIENT.chat.completions.parse(**FORMED, response_format=Weather).choices[0].message.parsed
        self.assertIsInstance(parsed, Weather)


class Tools(Test):
    CHOICES = ("required", {"type": "function", "function": {"name": "weather"}})

    def test_a_forced_call_is_typed_and_fits_its_schema(self) -> None:
        tools = [{"type": "function", "function": FUNCTION}]
        for tool_choice in self.CHOICES:
            answer = CLIENT.chat.completions.create(**FORMED, tools=tools, tool_choice=tool_choice)
            [call] = answer.choices[0].message.tool_calls
            self.assertEqual((call.type, call.function.name), ("function", "weather"))
            self.assert_weather(call.function.arguments)
            self.assertIn(answer.choices[0].finish_reason, ("tool_calls", "stop"))
            self.assert_held(receipts(answer)[0]["id"])

    def test_a_streamed_call_is_put_together(self) -> None:
        tools = [openai.pydantic_function_tool(Weather)]
        with CLIENT.chat.completions.stream(**FORMED, tools=tools, tool_choice="required") as stream:
            [call] = stream.get_final_completion().choices[0].message.tool_calls
        self.assertEqual(call.function.name, "Weather")
        self.assertIsInstance(call.function.parsed_arguments, Weather)

    def test_a_result_goes_back_to_the_model(self) -> None:
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
        messages = [
            *CHAT["messages"],
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        ]
        tools = [{"type": "function", "function": FUNCTION}]
        answer = CLIENT.chat.completions.create(**CHAT | {"messages": messages}, tools=tools, tool_choice="none")
        self.assertIsNone(answer.choices[0].message.tool_calls)
        self.assert_held(receipts(answer)[0]["id"])


class Completions(Test):
    def test_a_prompt_is_scored_without_drawing_a_token(self) -> None:
        prompt = "The sky is blue because"
        answer = CLIENT.completions.create(model=MODEL, prompt=prompt, max_tokens=0, echo=True, logprobs=2)
        [choice] = answer.choices
        self.assertEqual(choice.text, prompt)
        scored = choice.logprobs
        self.assertEqual("".join(scored.tokens), prompt)
        self.assertEqual(len(scored.tokens), answer.usage.prompt_tokens)
        self.assertEqual(answer.usage.completion_tokens, 0)
        self.assertIsNone(scored.token_logprobs[0])
        for token, logprob, top, offset in zip(
            scored.tokens[1:], scored.token_logprobs[1:], scored.top_logprobs[1:], scored.text_offset[1:], strict=True
        ):
            self.assertLessEqual(logprob, 0)
            self.assertLessEqual(logprob, max(top.values()))
            self.assertEqual(prompt[offset : offset + len(token)], token)
        self.assert_held(receipts(answer)[0]["id"])

    def test_a_prompt_is_continued_as_a_stream_too(self) -> None:
        request = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 8, "seed": 3}
        whole = CLIENT.completions.create(**request)
        self.assertEqual((whole.object, whole.choices[0].finish_reason), ("text_completion", "length"))
        chunks = list(CLIENT.completions.create(**request, stream=True))
        text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
        self.assertEqual(text, whole.choices[0].text)


class Responses(Test):
    REQUEST = {"model": MODEL, "instructions": "Be brief.", "input": "Why is the sky blue?", "temperature": 0}

    def test_a_response_has_text_usage_and_a_receipt_that_holds(self) -> None:
        raw = CLIENT.responses.with_raw_response.create(**self.REQUEST, max_output_tokens=12)
        response = raw.parse()
        self.assertTrue(response.output_text)
        self.assertEqual((response.status, response.incomplete_details.reason), ("incomplete", "max_output_tokens"))
        self.assertEqual(response.usage.output_tokens, 12)
        [receipt] = receipts(response)
        self.assertEqual(raw.headers["x-candor-receipt"], receipt["id"])
        self.assert_held(receipt["id"])

    def test_a_stream_of_events_ends_in_the_same_response(self) -> None:
        whole = CLIENT.responses.create(**self.REQUEST, max_output_tokens=12)
        events = list(CLIENT.responses.create(**self.REQUEST, max_output_tokens=12, stream=True))
        self.assertEqual((events[0].type, events[-1].type), ("response.created", "response.incomplete"))
        self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        self.assertEqual(text, whole.output_text)
        self.assertEqual(events[-1].response.output_text, text)
        self.assert_held(receipts(events[-1].response)[0]["id"])

    def test_a_response_keeps_to_a_schema(self) -> None:
        response = CLIENT.responses.parse(**self.REQUEST, max_output_tokens=1024, text_format=Weather)
        self.assertEqual(response.status, "completed")
        self.assertIsInstance(response.output_parsed, Weather)

    def test_a_forced_call_is_an_item_of_the_output(self) -> None:
        tools = [{"type": "function", "strict": True, **FUNCTION}]
        response = CLIENT.responses.create(
            **self.REQUEST, max_output_tokens=1024, tools=tools, tool_choice={"type": "function", "name": "weather"}
        )
        [call] = response.output
        self.assertEqual((call.type, call.name), ("function_call", "weather"))
        self.assert_weather(call.arguments)
        self.assert_held(receipts(response)[0]["id"])


class Errors(Test):
    def test_an_unknown_model_is_not_found(self) -> None:
        for ask in (
            lambda: CLIENT.chat.completions.create(**CHAT | {"model": "nobody"}),
            lambda: CLIENT.models.retrieve("nobody"),
        ):
            with self.assertRaises(openai.NotFoundError) as raised:
                ask()
            self.assertEqual((raised.exception.status_code, raised.exception.code), (404, "model_not_found"))

    def test_a_wrong_parameter_is_named(self) -> None:
        for wrong, code in (
            ({"temperature": 3}, "decimal_above_max_value"),
            ({"max_tokens": "many"}, "invalid_type"),
            ({"messages": []}, "empty_array"),
        ):
            with self.assertRaises(openai.BadRequestError) as raised:
                CLIENT.chat.completions.create(**CHAT | wrong)
            error = raised.exception
            self.assertEqual((error.type, error.param, error.code), ("invalid_request_error", *wrong, code))

    def test_an_unknown_receipt_is_not_found(self) -> None:
        with self.assertRaises(openai.NotFoundError) as raised:
            CLIENT.get(f"/receipts/0x{'ab' * 32}", cast_to=object)
        self.assertEqual(raised.exception.code, "receipt_not_found")


if __name__ == "__main__":
    unittest.main()
