import { expect, test } from 'vitest';
import { fakeApp } from '../helpers/app.ts';
import { fuzz } from '../helpers/fuzzed-app.ts';
import { type Document, type FuzzRequest, faultOf } from '../helpers/openapi-fuzz.ts';

// The soak tests send more of them: test/soak/openapi-fuzz.test.ts.
test('every answer to random requests of the documented operations matches the document', async () => {
  const app = await fakeApp();
  const { statuses } = await fuzz(app, { count: 700, seed: 20_260_101 });
  // Good requests are among them, and each way of being refused.
  for (const status of [200, 201, 202, 400, 404, 409, 415, 422]) expect([...statuses.keys()]).toContain(status);
});

const READY = {
  'application/json': {
    schema: { type: 'object', required: ['a'], properties: { a: { $ref: '#/components/schemas/A' } } },
  },
};
const DOCUMENT: Document = { paths: {}, components: { schemas: { A: { type: 'integer' } }, responses: {} } };
const OPERATION = { operationId: 'x', parameters: [], responses: { 200: { content: READY }, 204: {} } };
const REQUEST: FuzzRequest = { operation: OPERATION, method: 'GET', url: '/', headers: {} };

test.each([
  ['a described answer', 200, 'application/json; charset=utf-8', '{"a":1}', null],
  ['no body if none is described', 204, '', '', null],
  ['a 500', 500, 'application/json', '{}', 'a 500'],
  ['another status', 201, 'application/json', '{"a":1}', 'status 201 is not described'],
  ['another type', 200, 'text/plain', '{"a":1}', 'text/plain is not described'],
  ['a body if none is described', 204, 'text/plain', 'x', 'there is a body'],
  ['a member of another type', 200, 'application/json', '{"a":"1"}', '200 does not fit'],
  ['a missing member', 200, 'application/json', '{}', '200 does not fit'],
])('the check of answers reports %s', (_what, status, type, text, fault) => {
  const found = faultOf(DOCUMENT, REQUEST, { status, headers: { 'content-type': type }, text, json: {} });
  if (fault === null) expect(found).toBeNull();
  else expect(found).toContain(fault);
});
