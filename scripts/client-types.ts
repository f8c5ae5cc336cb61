// Prints the TypeScript types of the OpenAPI document for a client: npm run -s client:types > api.d.ts

import { registerHooks } from 'node:module';

// openapi-typescript uses the API of TypeScript 5, which TypeScript 7 does not have.
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'typescript'
      ? { url: new URL('./client-types/typescript.cjs', import.meta.url).href, format: 'commonjs', shortCircuit: true }
      : next(specifier, context),
});

const { astToString, default: openapiTypes } = await import('openapi-typescript');
const document = new URL('../openapi/openapi.json', import.meta.url);
process.stdout.write(astToString(await openapiTypes(document)));
