import { Type } from 'typebox';
import { Int64, Text } from './common.ts';

export const DescriptorArguments = Type.Object(
  { fdname: Text('Name of the descriptor; not a digit first.') },
  { additionalProperties: false },
);

export const AddFdArguments = Type.Object(
  {
    'fdset-id': Type.Optional(
      Int64({ description: 'Number of the set; left out: the lowest from 0 on that no set has.' }),
    ),
    opaque: Type.Optional(Text('Shown by query-fdsets.')),
  },
  { additionalProperties: false },
);

export const AddfdInfo = Type.Object({ 'fdset-id': Int64(), fd: Int64() });

export const RemoveFdArguments = Type.Object(
  {
    'fdset-id': Int64({ description: 'Number of the set.' }),
    fd: Type.Optional(Int64({ description: 'One descriptor of the set; left out: all of them.' })),
  },
  { additionalProperties: false },
);

export const FdsetInfoList = Type.Array(
  Type.Object({
    'fdset-id': Int64(),
    fds: Type.Array(Type.Object({ fd: Int64(), opaque: Type.Optional(Type.String()) })),
  }),
);
