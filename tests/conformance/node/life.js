// Runs the steps of a client's life and tells what became of each, as life.py reads it.
'use strict';

const { isDeepStrictEqual, inspect } = require('node:util');

const [ALIBABA, HUAWEI, ADMIN] = process.argv.slice(2);

async function admin(method, path, body) {
  const response = await fetch(ADMIN + path, {
    method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
}

// Lets no call of an action through.
function throttle(action) {
  return admin('PUT', '/limits', { limits: [{ action, callsPerMinute: 0 }] });
}

function same(what, got, expected) {
  if (!isDeepStrictEqual(got, expected)) throw new Error(`${what}: got ${inspect(got)}, expected ${inspect(expected)}`);
}

// Fails unless a call is refused with a code, which `codeOf` reads from what the client throws.
async function refused(what, code, codeOf, call) {
  let told;
  try {
    await call();
  } catch (error) {
    told = codeOf(error) ?? String(error);
  }
  same(what, told, code);
}

async function run(client, steps) {
  console.log(`client: ${client}`);
  for (const [name, step] of Object.entries(steps)) {
    let told = 'ok';
    try {
      await step();
    } catch (error) {
      told = String(error).replaceAll('\n', ' ');
    }
    console.log(`${name}: ${told}`);
    await admin('PUT', '/limits', { limits: [] });
  }
}

module.exports = { ALIBABA, HUAWEI, admin, throttle, same, refused, run };
