// The text that a reader of the OpenAPI document sees first, in Markdown.

export const INTRODUCTION = `
vmferry migrates virtual machines and keeps snapshots of them. One service holds one machine. The other end of a
migration is another vmferry or a QEMU.

**First steps.** \`GET /status\` shows the run state, \`GET /machine\` the machine. \`POST /migrate\` with
\`{"uri": "tcp:HOST:PORT"}\` begins a migration; \`GET /migrate\` and \`GET /migrate/progress\` show how far it is.
\`POST /snapshots\` with \`{"tag": "NAME"}\` saves the machine.

**Names.** Members have the names of QEMU's QMP schema, with hyphens. Each operation names its QMP command in
\`x-command\`, and in \`x-role\` the role that a token needs.

**Numbers.** Integers are exact up to 2^64-1 in both directions. Sizes are bytes and durations milliseconds unless the
description says otherwise.

**Long work.** An operation that takes longer than a request answers 202 with the \`Location\` of a migration or a job.
With \`Prefer: wait=SECONDS\` (60 at most) the answer comes when the work has ended: 200, or 202 after that time.

**Repeated requests.** A request that begins something takes an \`Idempotency-Key\`. The same request with the same key
begins nothing more and has the same answer.

**Polling.** Answers that carry an \`ETag\` can be asked for with \`If-None-Match\`: 304 says that nothing has changed.
Together with \`Prefer: wait=SECONDS\` the answer comes when something changes. \`GET /events\` sends events as they happen.

**Lists.** A list is sent in pages. \`limit\` sets their length, \`cursor\` and the \`Link\` header lead to the next.

**Errors.** An error is a problem document (RFC 9457). Its \`code\` is stable, \`errors\` lists each violation with a JSON
pointer, and \`GET /errors/CODE\` explains the code. A request that is refused changes nothing.

**Tokens.** A service with a token file needs \`Authorization: Bearer TOKEN\`. A service without one listens on loopback
addresses only and needs no token.
`.trim();
