/** Fields of protocol buffers; all numbers here are below 128, and so are all lengths. */
const text = (field: number, value: string): number[] => message(field, [...Buffer.from(value)]);
const number = (field: number, value: number): number[] => [field << 3, value];
const message = (field: number, ...parts: number[][]): number[] => [(field << 3) | 2, parts.flat().length, ...parts.flat()];

const FLOAT = 1;
const IR_VERSION = 7;
const OPSET = 13;

/** A tensor of one number. @see onnx.proto, ValueInfoProto, TypeProto, TensorShapeProto */
const one = (field: number, name: string): number[] => message(field, text(1, name), message(2, message(1, number(1, FLOAT), message(2, message(1, number(1, 1))))));

/**
 * The smallest network that computes: `y = x + x`, for one number. Something must be computed: a session alone may come about where a device does not work.
 * @see onnx.proto, ModelProto, GraphProto, NodeProto
 */
export const PROBE_MODEL = Uint8Array.from([
  number(1, IR_VERSION),
  message(7, message(1, text(1, 'x'), text(1, 'x'), text(2, 'y'), text(4, 'Add')), text(2, 'probe'), one(11, 'x'), one(12, 'y')),
  message(8, text(1, ''), number(2, OPSET)),
].flat());
