// The TypeScript inside @ts-morph/common, under the name that openapi-typescript imports.
module.exports = require('@ts-morph/common').ts;
