// How a client program tells what it saw: one line of JSON for each check, in the order in which they run.

export async function run(...checks) {
  for (const check of checks) {
    const line = { check: check.name };
    try {
      line.saw = await check();
    } catch (error) {
      line.raised = described(error);
    }
    console.log(JSON.stringify(line));
  }
}

// The names of an exception's class and of those that it derives from.
function typesOf(error) {
  const names = [];
  for (let kind = error.constructor; kind.name; kind = Object.getPrototypeOf(kind)) names.push(kind.name);
  return names;
}

export function described(error) {
  return {
    types: typesOf(error),
    status: error.status ?? null,
    code: error.code ?? null,
    param: error.param ?? null,
    message: error.message,
  };
}
