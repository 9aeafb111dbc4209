// openai-node, as its documentation uses it.

import OpenAI from 'openai';
import { described, run } from './report.mjs';

const CLIENT = process.env.CLIENT;
const MODEL = 'llama3-8b-q4';
const client = new OpenAI({ baseURL: process.env.GATEWAY, apiKey: 'not-needed' });

const TOOL = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather of a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};

const asked = (content) => [{ role: 'user', content }];

async function chat() {
  const reply = await client.chat.completions.create({
    model: MODEL,
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello.' },
      { role: 'user', content: 'chat' },
    ],
    temperature: 0.25,
    max_tokens: 32,
  });
  return { text: reply.choices[0].message.content, model: reply.model, tokens: reply.usage.total_tokens };
}

async function piecesOf(model, content) {
  const pieces = [];
  for await (const chunk of await client.chat.completions.create({ model, messages: asked(content), stream: true })) {
    if (chunk.choices[0].delta.content) pieces.push(chunk.choices[0].delta.content);
  }
  return { pieces };
}

async function stream() {
  return piecesOf(MODEL, 'stream');
}

async function torn_stream() {
  return piecesOf(`torn:${CLIENT}`, 'torn');
}

async function tools() {
  const messages = asked('tools');
  const { message } = (await client.chat.completions.create({ model: MODEL, messages, tools: [TOOL] })).choices[0];
  const call = message.tool_calls[0];
  messages.push(message, { role: 'tool', tool_call_id: call.id, content: 'sunny' });
  const answer = await client.chat.completions.create({ model: MODEL, messages, tools: [TOOL] });
  return {
    name: call.function.name,
    arguments: JSON.parse(call.function.arguments),
    answer: answer.choices[0].message.content,
  };
}

async function streamed_tools() {
  const runner = client.chat.completions.stream({ model: MODEL, messages: asked('streamed tools'), tools: [TOOL] });
  const { message } = (await runner.finalChatCompletion()).choices[0];
  const call = message.tool_calls[0].function;
  return { name: call.name, arguments: JSON.parse(call.arguments) };
}

async function embeddings() {
  const reply = await client.embeddings.create({ model: MODEL, input: ['embeddings', 'more'] });
  return { vectors: reply.data.map((item) => Array.from(item.embedding)) };
}

async function responses() {
  const reply = await client.responses.create({ model: MODEL, input: 'responses' });
  return { text: reply.output_text, status: reply.status, tokens: reply.usage.total_tokens };
}

async function streamed_responses() {
  const events = [];
  for await (const event of await client.responses.create({ model: MODEL, input: 'streamed responses', stream: true })) {
    events.push(event);
  }
  const output = events.at(-1).response.output;
  return {
    types: events.map((event) => event.type),
    pieces: events.filter((event) => event.type === 'response.output_text.delta').map((event) => event.delta),
    text: output[0].content[0].text,
  };
}

async function responses_with_tools() {
  const tools = [{ type: 'function', strict: false, ...TOOL.function }];
  const reply = await client.responses.create({ model: MODEL, input: 'responses with tools', tools });
  const call = reply.output.find((item) => item.type === 'function_call');
  const input = [
    { role: 'user', content: 'responses with tools' },
    { type: 'function_call', call_id: call.call_id, name: call.name, arguments: call.arguments },
    { type: 'function_call_output', call_id: call.call_id, output: 'sunny' },
  ];
  const answer = await client.responses.create({ model: MODEL, input, tools });
  return { name: call.name, arguments: JSON.parse(call.arguments), answer: answer.output_text };
}

async function unknown_model() {
  return (await client.chat.completions.create({ model: 'nobody', messages: asked('unknown') })).id;
}

async function no_model() {
  return (await client.chat.completions.create({ model: '', messages: asked('no model') })).id;
}

async function refused_parameter() {
  const request = { model: `picky:${CLIENT}`, messages: asked('picky'), temperature: 3 };
  return (await client.chat.completions.create(request)).id;
}

async function too_many_requests() {
  return (await client.chat.completions.create({ model: `busy:${CLIENT}`, messages: asked('busy') })).id;
}

async function recovery() {
  const reply = await client.chat.completions.create({ model: `recovering:${CLIENT}`, messages: asked('recovering') });
  return { text: reply.choices[0].message.content };
}

async function unavailable() {
  return (await client.chat.completions.create({ model: `unavailable:${CLIENT}`, messages: asked('unavailable') })).id;
}

async function cut_stream() {
  const pieces = [];
  let finish = null;
  try {
    const request = { model: `dying:${CLIENT}`, messages: asked('dying'), stream: true };
    for await (const chunk of await client.chat.completions.create(request)) {
      if (chunk.choices[0].delta.content) pieces.push(chunk.choices[0].delta.content);
      finish = chunk.choices[0].finish_reason;
    }
  } catch (error) {
    return { pieces, finish, raised: described(error) };
  }
  return { pieces, finish, raised: null };
}

await run(
  chat,
  stream,
  torn_stream,
  tools,
  streamed_tools,
  embeddings,
  responses,
  streamed_responses,
  responses_with_tools,
  unknown_model,
  no_model,
  refused_parameter,
  too_many_requests,
  recovery,
  unavailable,
  cut_stream,
);
