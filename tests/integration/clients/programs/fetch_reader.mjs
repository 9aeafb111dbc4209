// A web page's own client, without any library: `fetch`, and a reader that takes each network read for whole lines.

import { run } from './report.mjs';

const CLIENT = process.env.CLIENT;
const HEADERS = { 'Content-Type': 'application/json' };

function post(request) {
  const body = JSON.stringify(request);
  return fetch(`${process.env.GATEWAY}/chat/completions`, { method: 'POST', headers: HEADERS, body });
}

async function* streamed(request) {
  const reader = (await post({ ...request, stream: true })).body.getReader();
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const line of decoder.decode(value).split('\n')) {
      if (!line.startsWith('data: ')) continue;
      if (line === 'data: [DONE]') return;
      try {
        const content = JSON.parse(line.slice(6)).choices[0].delta.content;
        if (content) yield content;
      } catch {
        // Half a line: what it held is lost.
      }
    }
  }
}

async function chat() {
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello.' },
    { role: 'user', content: 'chat' },
  ];
  const reply = await (await post({ model: 'llama3.1:8b', messages, temperature: 0.25, max_tokens: 32 })).json();
  return { text: reply.choices[0].message.content, model: reply.model, tokens: reply.usage.total_tokens };
}

async function piecesOf(model, content) {
  const pieces = [];
  for await (const piece of streamed({ model, messages: [{ role: 'user', content }], temperature: 0.7 })) {
    pieces.push(piece);
  }
  return { pieces };
}

async function stream() {
  return piecesOf('llama3.1:8b', 'stream');
}

async function torn_stream() {
  return piecesOf(`torn:${CLIENT}`, 'torn');
}

await run(chat, stream, torn_stream);
