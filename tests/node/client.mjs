// The conversation of the seed, by OpenAI's client for Node: everything that it prints is one JSON object.
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0 });
const model = "gpt-4o";
const conversation = await client.conversations.create({ metadata: { topic: "demo" } });
const first = await client.responses.create({ model, input: "Say hello", conversation: conversation.id });
const types = [];
let streamed = "";
for await (const event of await client.responses.create({
  model, input: "Say goodbye", conversation: conversation.id, stream: true,
})) {
  types.push(event.type);
  if (event.type === "response.output_text.delta") streamed += event.delta;
}
const items = [];
for await (const item of client.conversations.items.list(conversation.id, { order: "asc" })) items.push(item.role);

const messages = [{ role: "user", content: "Say hello" }];
const whole = await client.chat.completions.create({ model, messages });
let chat = "";
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
  chat += chunk.choices[0]?.delta?.content ?? "";
}
let missed;
try {
  await client.chat.completions.create({ model, messages: [{ role: "user", content: "Never asked" }] });
} catch (error) {
  missed = { status: error.status, code: error.code };
}
console.log(JSON.stringify({
  first: first.output_text, streamed, last: types.at(-1), items, whole: whole.choices[0].message.content, chat, missed,
}));
