import assert from "node:assert/strict";
import { test } from "node:test";
import { greeting, greetingInPieces } from "./greeting.js";

test("a guest is greeted in French", async () => {
  assert.equal(await greeting("Ada", "French"), "Bonjour Ada, bienvenue !");
});

test("a greeting comes in pieces", async () => {
  const pieces = [];
  for await (const piece of greetingInPieces("Grace")) pieces.push(piece);
  assert.ok(pieces.length > 1);
  assert.equal(pieces.join(""), "Good evening, Grace!");
});
