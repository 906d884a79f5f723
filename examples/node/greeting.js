// A greeting for a guest, in the guest's language.
import OpenAI from "openai";

export async function greeting(name, language) {
  const client = new OpenAI();
  const response = await client.responses.create({
    model: "gpt-4o-mini",
    instructions: `Greet the guest in ${language}, in one short sentence.`,
    input: name,
  });
  return response.output_text;
}

export async function* greetingInPieces(name) {
  const client = new OpenAI();
  const messages = [{ role: "user", content: `Greet ${name}.` }];
  const stream = await client.chat.completions.create({ model: "gpt-4o-mini", messages, stream: true });
  for await (const chunk of stream) yield chunk.choices[0]?.delta?.content ?? "";
}
