import { Type } from 'typebox';
import { Text } from './common.ts';

export const DescriptorArguments = Type.Object(
  { fdname: Text('Name of the descriptor; not a digit first.') },
  { additionalProperties: false },
);
