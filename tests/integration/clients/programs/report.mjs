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

export function described(error) {
  return {
    type: error.constructor.name,
    status: error.status ?? null,
    code: error.code ?? null,
    param: error.param ?? null,
    message: error.message,
  };
}
