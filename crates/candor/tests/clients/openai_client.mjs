// Uses a gateway by OpenAI's own client for Node.js, and by nothing else.
//
//     node openai_client.mjs URL PACKAGES
//
// URL is the address that `candor up` printed; the client lies in PACKAGES/node_modules. Every test holds for any chat
// model, a random one too.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";

const [url, packages] = process.argv.slice(2);
const { default: OpenAI } = createRequire(join(packages, "package.json"))("openai");

// No second try: an answer that fails once is a failure.
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0, timeout: 60_000 });
const model = (await client.models.list()).data[0].id;
// The likeliest tokens: a drawn answer may end anywhere.
const chat = {
  model,
  messages: [{ role: "user", content: "Why is the sky blue?" }],
  max_tokens: 12,
  temperature: 0,
};
const weather = {
  type: "object",
  properties: { city: { enum: ["Oslo", "Lima"] }, days: { type: "integer", minimum: 1, maximum: 7 } },
  required: ["city", "days"],
  additionalProperties: false,
};
// Fits an object of that schema in a model whose tokens are bytes, with as much white space as a gateway lets through.
const formed = { ...chat, max_tokens: 1024 };
const json_schema = { name: "weather", strict: true, schema: weather };
const weatherFunction = { name: "weather", description: "The weather of the next days", parameters: weather };

/** The ids of the receipts that an answer, a chunk or a response names. */
const receiptIds = (answer) => answer.candor.receipts.map((receipt) => receipt.id);

/** Fails unless the text is an object of the schema `weather`. */
function assertWeather(text) {
  const { city, days, ...rest } = typeof text === "string" ? JSON.parse(text) : text;
  assert.ok(["Oslo", "Lima"].includes(city), city);
  assert.ok(Number.isInteger(days) && days >= 1 && days <= 7, days);
  assert.deepEqual(rest, {});
}

/** Fails unless the gateway has these receipts, and a replay finds them true. */
async function assertHeld(ids) {
  assert.notEqual(ids.length, 0);
  for (const id of ids) {
    const document = await client.get(`/receipts/${id}`);
    assert.deepEqual([document.version, document.id], [1, id]);
    const verdict = await client.post(`/receipts/${id}/verify`);
    assert.deepEqual([verdict.verdict, verdict.receipt], ["held", id], verdict.report);
  }
}

/** All items of a stream. */
async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** What a request was refused with. */
const refusal = (request) => request.then(() => assert.fail("it was answered"), (error) => error);

test("a listed model can be retrieved", async () => {
  const listed = (await client.models.list()).data[0];
  const retrieved = await client.models.retrieve(model);
  assert.deepEqual({ ...retrieved }, { ...listed });
  assert.match(retrieved.candor.model_root, /^0x[0-9a-f]{64}$/);
});

test("an answer has text, usage, and a receipt that holds", async () => {
  const { data: answer, response } = await client.chat.completions.create(chat).withResponse();
  const [choice] = answer.choices;
  assert.deepEqual([choice.message.role, choice.finish_reason], ["assistant", "length"]);
  assert.ok(choice.message.content);
  assert.deepEqual([answer.object, answer.model], ["chat.completion", model]);
  assert.equal(answer.usage.completion_tokens, 12);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + 12);
  assert.equal(response.headers.get("x-candor-receipt"), receiptIds(answer)[0]);
  await assertHeld(receiptIds(answer));
});

test("a stream says the same, and ends with usage and a receipt", async () => {
  const whole = await client.chat.completions.create(chat);
  const chunks = await all(
    await client.chat.completions.create({ ...chat, stream: true, stream_options: { include_usage: true } }),
  );
  const last = chunks.pop();
  const choices = chunks.flatMap((chunk) => chunk.choices);
  assert.equal(choices[0].delta.role, "assistant");
  const text = choices.map((choice) => choice.delta.content ?? "").join("");
  assert.equal(text, whole.choices[0].message.content);
  assert.deepEqual(choices.flatMap((choice) => choice.finish_reason ?? []), ["length"]);
  assert.deepEqual([last.choices, last.usage], [[], whole.usage]);
  await assertHeld(receiptIds(last));
});

test("a seed repeats an answer, and two choices differ", async () => {
  const request = { ...chat, seed: 7, n: 2, temperature: 1.5 };
  const { data: first, response } = await client.chat.completions.create(request).withResponse();
  const second = await client.chat.completions.create(request);
  const texts = (answer) => answer.choices.map((choice) => choice.message.content);
  assert.deepEqual(texts(second), texts(first));
  assert.notEqual(texts(first)[0], texts(first)[1]);
  assert.equal(receiptIds(first).length, 2);
  assert.deepEqual(response.headers.get("x-candor-receipts").split(/, */), receiptIds(first));
  await assertHeld(receiptIds(first));
});

test("requests at the same time get what each would get alone", async () => {
  const seeds = [1, 2, 1, 2];
  const together = await Promise.all(seeds.map((seed) => client.chat.completions.create({ ...chat, temperature: 1, seed })));
  const texts = together.map((answer) => answer.choices[0].message.content);
  for (const [at, seed] of seeds.entries()) {
    const alone = await client.chat.completions.create({ ...chat, temperature: 1, seed });
    assert.equal(texts[at], alone.choices[0].message.content);
  }
  await assertHeld(together.flatMap(receiptIds));
});

test("a stop string ends the text before it", async () => {
  const request = { ...formed, response_format: { type: "json_schema", json_schema } };
  const text = (await client.chat.completions.create(request)).choices[0].message.content;
  const [choice] = (await client.chat.completions.create({ ...request, stop: ["never", "days"] })).choices;
  assert.deepEqual([choice.message.content, choice.finish_reason], [text.split("days")[0], "stop"]);
});

test("every token has its probability and that of the likeliest", async () => {
  const request = { ...chat, logprobs: true, top_logprobs: 3 };
  const [choice] = (await client.chat.completions.create(request)).choices;
  assert.equal(choice.logprobs.content.length, 12);
  for (const { logprob, top_logprobs: top } of choice.logprobs.content) {
    assert.ok(logprob <= 0);
    assert.equal(top.length, 3);
    assert.equal(top[0].logprob, logprob);
    assert.ok(top[0].logprob >= top[1].logprob && top[1].logprob >= top[2].logprob);
  }
});

test("an answer keeps to a schema", async () => {
  const response_format = { type: "json_schema", json_schema };
  const answer = await client.chat.completions.parse({ ...formed, response_format });
  assert.equal(answer.choices[0].finish_reason, "stop");
  assertWeather(answer.choices[0].message.content);
  assertWeather(answer.choices[0].message.parsed);
  await assertHeld(receiptIds(answer));
});

test("a forced call is typed and fits its schema", async () => {
  const tools = [{ type: "function", function: weatherFunction }];
  for (const tool_choice of ["required", { type: "function", function: { name: "weather" } }]) {
    const answer = await client.chat.completions.create({ ...formed, tools, tool_choice });
    const [call, ...others] = answer.choices[0].message.tool_calls;
    assert.deepEqual([call.type, call.function.name, others], ["function", "weather", []]);
    assertWeather(call.function.arguments);
    await assertHeld(receiptIds(answer));
  }
});

test("the client's tool runner calls a function and hands back its result", async () => {
  const asked = [];
  const tool = { ...weatherFunction, parse: JSON.parse, function: (place) => asked.push(place) && "rain" };
  const runner = client.chat.completions.runTools(
    { ...formed, stream: true, tools: [{ type: "function", function: tool }], tool_choice: "required" },
    { maxChatCompletions: 2 },
  );
  await runner.done();
  assert.notEqual(asked.length, 0);
  asked.forEach(assertWeather);
  assert.deepEqual(runner.messages.slice(1, 3).map((message) => message.role), ["assistant", "tool"]);
});

test("a prompt is scored without drawing a token", async () => {
  const prompt = "The sky is blue because";
  const answer = await client.completions.create({ model, prompt, max_tokens: 0, echo: true, logprobs: 2 });
  const { tokens, token_logprobs, top_logprobs } = answer.choices[0].logprobs;
  assert.equal(answer.choices[0].text, prompt);
  assert.equal(tokens.join(""), prompt);
  assert.deepEqual([tokens.length, 0], [answer.usage.prompt_tokens, answer.usage.completion_tokens]);
  assert.equal(token_logprobs[0], null);
  for (let at = 1; at < tokens.length; at += 1) {
    assert.ok(token_logprobs[at] <= Math.max(...Object.values(top_logprobs[at])));
  }
  await assertHeld(receiptIds(answer));
});

test("a prompt is continued, as a stream too", async () => {
  const request = { model, prompt: "Once upon a time", max_tokens: 8, seed: 3 };
  const whole = await client.completions.create(request);
  const chunks = await all(await client.completions.create({ ...request, stream: true }));
  assert.equal(chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.text)).join(""), whole.choices[0].text);
});

const question = { model, instructions: "Be brief.", input: "Why is the sky blue?", temperature: 0 };

test("a response has text, usage, and a receipt that holds", async () => {
  const request = { ...question, max_output_tokens: 12 };
  const { data: answer, response } = await client.responses.create(request).withResponse();
  assert.ok(answer.output_text);
  assert.deepEqual([answer.status, answer.incomplete_details.reason], ["incomplete", "max_output_tokens"]);
  assert.equal(answer.usage.output_tokens, 12);
  assert.equal(response.headers.get("x-candor-receipt"), receiptIds(answer)[0]);
  await assertHeld(receiptIds(answer));
});

test("a stream of events ends in the same response", async () => {
  const request = { ...question, max_output_tokens: 12 };
  const whole = await client.responses.create(request);
  const events = await all(await client.responses.create({ ...request, stream: true }));
  assert.deepEqual([events[0].type, events.at(-1).type], ["response.created", "response.incomplete"]);
  assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  assert.equal(deltas.map((event) => event.delta).join(""), whole.output_text);
  assert.equal(events.at(-1).response.output[0].content[0].text, whole.output_text);
  await assertHeld(receiptIds(events.at(-1).response));
});

test("a response keeps to a schema, and the stream helper puts it together", async () => {
  const request = { ...question, max_output_tokens: 1024, text: { format: { type: "json_schema", ...json_schema } } };
  const parsed = await client.responses.parse(request);
  assertWeather(parsed.output_parsed);
  const streamed = await client.responses.stream(request).finalResponse();
  assert.deepEqual([parsed.status, streamed.status], ["completed", "completed"]);
  assertWeather(streamed.output[0].content[0].text);
  await assertHeld([...receiptIds(parsed), ...receiptIds(streamed)]);
});

test("a forced call is an item of the output", async () => {
  const tools = [{ type: "function", strict: true, ...weatherFunction }];
  const tool_choice = { type: "function", name: "weather" };
  const response = await client.responses.create({ ...question, max_output_tokens: 1024, tools, tool_choice });
  const [call, ...others] = response.output;
  assert.deepEqual([call.type, call.name, others], ["function_call", "weather", []]);
  assertWeather(call.arguments);
  await assertHeld(receiptIds(response));
});

test("an unknown model is not found", async () => {
  for (const request of [
    () => client.chat.completions.create({ ...chat, model: "nobody" }),
    () => client.models.retrieve("nobody"),
  ]) {
    const error = await refusal(request());
    assert.ok(error instanceof OpenAI.NotFoundError, error);
    assert.deepEqual([error.status, error.code], [404, "model_not_found"]);
  }
});

test("a wrong parameter is named", async () => {
  for (const [name, value, code] of [
    ["temperature", 3, "decimal_above_max_value"],
    ["max_tokens", "many", "invalid_type"],
    ["messages", [], "empty_array"],
  ]) {
    const error = await refusal(client.chat.completions.create({ ...chat, [name]: value }));
    assert.ok(error instanceof OpenAI.BadRequestError, error);
    assert.deepEqual([error.type, error.param, error.code], ["invalid_request_error", name, code]);
  }
});
