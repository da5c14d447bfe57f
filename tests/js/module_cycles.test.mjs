import assert from 'node:assert/strict';
import test from 'node:test';
import { findCycles, parseGraph } from '../../scripts/module-cycles.mjs';

const GRAPH = `
    "c" [label="crate|c"]; // "crate" node
    "c::a" [label="mod|a"]; // "mod" node
    "c::a::inner" [label="mod|inner"]; // "mod" node
    "c::b" [label="mod|b"]; // "mod" node
    "c::a" -> "c::a::inner" [label="owns"]; // "owns" edge
    "c::a::inner::T" -> "c::a::S" [label="uses"]; // "uses" edge
    "c::a" -> "c::b::S" [label="uses"]; // "uses" edge
`;

test('a parent and its child are no circle', () => {
  assert.deepEqual(findCycles(parseGraph(GRAPH)), []);
});

test('two files that use items of each other are a circle', () => {
  const circle = `${GRAPH}    "c::b::f" -> "c::a::inner::T" [label="uses"]; // "uses" edge\n`;
  const withBack = `${circle}    "c::a::inner" -> "c::b" [label="uses"]; // "uses" edge\n`;
  assert.deepEqual(findCycles(parseGraph(withBack)), [['c::a::inner', 'c::b']]);
});
