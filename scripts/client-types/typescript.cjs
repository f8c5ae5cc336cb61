// The TypeScript that @ts-morph/common carries, under the name that openapi-typescript asks for.
module.exports = require('@ts-morph/common').ts;
