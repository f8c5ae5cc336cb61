// The introduction of the OpenAPI document, in Markdown.

export const INTRODUCTION = `
vmferry migrates virtual machines and saves snapshots of them. One service has one machine. The other side of a migration is
another vmferry service or a QEMU.

**First steps.** \`GET /status\` shows the run state and \`GET /machine\` the machine. \`POST /migrate\` with
\`{"uri": "tcp:HOST:PORT"}\` starts a migration. \`GET /migrate\` and \`GET /migrate/progress\` show its progress.
\`POST /snapshots\` with \`{"tag": "NAME"}\` saves the machine.

**Names.** Members have the names of QEMU's QMP schema, with hyphens. \`x-command\` of an operation is its QMP command, and
\`x-role\` is the role that its caller needs.

**Numbers.** Integers are exact up to 2^64-1 in requests and answers. Sizes are in bytes and durations in milliseconds, unless
the description states another unit.

**Long work.** An operation that starts long work answers 202 with the \`Location\` of a migration or a job. With
\`Prefer: wait=SECONDS\` (at most 60) the service answers when the work has ended: 200, or 202 after that time.

**Repeated requests.** A request that starts work accepts an \`Idempotency-Key\`. The same request with the same key starts
nothing more and receives the same answer.

**Polling.** An answer with an \`ETag\` can be requested again with \`If-None-Match\`: the answer is 304 if nothing has changed.
With \`Prefer: wait=SECONDS\` the service then answers when something changes. \`GET /events\` sends events when they happen.

**Lists.** A list is sent in pages. \`limit\` sets their length; \`cursor\` and the \`Link\` header lead to the next page.

**Errors.** An error is a problem document (RFC 9457). Its \`code\` is stable, \`errors\` lists each violation with a JSON
pointer, and \`GET /errors/CODE\` explains the code. A refused request changes nothing.

**Tokens.** A service with a token file requires \`Authorization: Bearer TOKEN\`. A service without one listens only on loopback
addresses and needs no token.
`.trim();
