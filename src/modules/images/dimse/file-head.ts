import { IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME } from '../../../imaging/dicom/implementation.js';

export interface FileHead {
  sopClassUid: string;
  sopInstanceUid: string;
  transferSyntaxUid: string;
  /** Calling AE title. */
  sourceApplicationEntityTitle: string;
}

/**
 * Preamble and File Meta Information: what makes the data set of a C-STORE a file. The same head for the same instance from
 * the same sender, whenever it comes: a re-send must give the same bytes.
 *
 * @see PS3.10 §7.1
 */
export function fileHead(head: FileHead): Buffer {
  const meta = Buffer.concat([
    Buffer.from([0x02, 0x00, 0x01, 0x00, 0x4f, 0x42, 0, 0, 2, 0, 0, 0, 0, 1]), // (0002,0001) OB, version 00\01
    element(0x0002, 'UI', head.sopClassUid, '\0'),
    element(0x0003, 'UI', head.sopInstanceUid, '\0'),
    element(0x0010, 'UI', head.transferSyntaxUid, '\0'),
    element(0x0012, 'UI', IMPLEMENTATION_CLASS_UID, '\0'),
    element(0x0013, 'SH', IMPLEMENTATION_VERSION_NAME, ' '),
    element(0x0016, 'AE', head.sourceApplicationEntityTitle, ' '),
  ]);
  const groupLength = Buffer.from([0x02, 0x00, 0x00, 0x00, 0x55, 0x4c, 4, 0, 0, 0, 0, 0]); // (0002,0000) UL
  groupLength.writeUInt32LE(meta.length, 8);
  return Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), groupLength, meta]);
}

/** Explicit VR little endian with a short length, padded to an even one. */
function element(tag: number, vr: string, value: string, padding: string): Buffer {
  const bytes = Buffer.from(value.length % 2 === 0 ? value : value + padding, 'latin1');
  const header = Buffer.alloc(8);
  header.writeUInt16LE(0x0002, 0);
  header.writeUInt16LE(tag, 2);
  header.write(vr, 4, 'latin1');
  header.writeUInt16LE(bytes.length, 6);
  return Buffer.concat([header, bytes]);
}
