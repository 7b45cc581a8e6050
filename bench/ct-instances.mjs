// CT instances that look like a scanner's: one encoded template, of which copies differ in UIDs, patient and number. Nothing is encoded while
// a bench runs, so the client costs next to no processor time beside the servers that it measures.
import { randomBytes } from 'node:crypto';
import dcmjs from 'dcmjs';

const CT_IMAGE_STORAGE = '1.2.840.10008.5.1.4.1.1.2';
const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1';
/** Stand-ins of the same length as what takes their place. */
const STAND_INS = { study: `2.25.${'1'.repeat(39)}`, series: `2.25.${'2'.repeat(39)}`, instance: `2.25.${'3'.repeat(39)}`, patientId: 'BENCH-PATIENT00', accession: 'BENCH-ACCESS00', number: '999999' };

/** A new UID of the 44 characters that every stand-in has. @see PS3.5 B.2 */
export function newUid() {
  const bytes = randomBytes(16);
  // The first digit is never zero, so that the length never differs.
  bytes[0] |= 0x80;
  return `2.25.${(BigInt(`0x${bytes.toString('hex')}`) % 10n ** 38n + 10n ** 38n).toString()}`;
}

/** A Patient ID of the length of the template's. */
export function patientIdOf(number) {
  return `BENCH-P${String(number).padStart(8, '0')}`;
}

/**
 * A body of `count` CT instances for STOW-RS, to be filled in and sent again and again.
 *
 * @param side  rows and columns; two bytes a pixel
 */
export function stowBody(count, side) {
  const boundary = 'healthvision-bench-7d1f0c';
  const template = ctInstance(side);
  const head = Buffer.from(`\r\n--${boundary}\r\nContent-Type: application/dicom\r\nContent-Length: ${String(template.length)}\r\n\r\n`);
  const body = Buffer.concat([...Array.from({ length: count }, () => [head, template]).flat(), Buffer.from(`\r\n--${boundary}--\r\n`)]);
  const places = Object.fromEntries(Object.entries(STAND_INS).map(([name, text]) => [name, placesOf(template, text)]));
  return {
    body,
    count,
    contentType: `multipart/related; type="application/dicom"; boundary=${boundary}`,
    instanceBytes: template.length,
    /** Makes part `index` the instance that `values` name; each of `study`, `series`, `instance`, `patientId`, `accession`, `number`. */
    fill(index, values) {
      const start = index * (head.length + template.length) + head.length;
      for (const [name, value] of Object.entries(values)) {
        if (value.length !== STAND_INS[name].length) throw new Error(`${name} must have ${String(STAND_INS[name].length)} characters`);
        for (const place of places[name]) body.latin1Write(value, start + place);
      }
    },
  };
}

function placesOf(bytes, text) {
  const places = [];
  for (let at = bytes.indexOf(text, 0, 'latin1'); at >= 0; at = bytes.indexOf(text, at + 1, 'latin1')) places.push(at);
  if (places.length === 0) throw new Error(`${text} is not in the template`);
  return places;
}

/** About as many attributes as a scanner writes, with sequences among them. */
function ctInstance(side) {
  const element = (vr, ...Value) => ({ vr, Value });
  const code = (value, scheme, meaning) => ({ '00080100': element('SH', value), '00080102': element('SH', scheme), '00080104': element('LO', meaning) });
  const pixels = new Uint16Array(side * side);
  const noise = randomBytes(pixels.byteLength);
  for (let i = 0; i < pixels.length; i++) pixels[i] = noise.readUInt16LE(i * 2) & 0x0fff;
  const dict = new dcmjs.data.DicomDict({
    '00020002': element('UI', CT_IMAGE_STORAGE),
    '00020003': element('UI', STAND_INS.instance),
    '00020010': element('UI', EXPLICIT_LITTLE_ENDIAN),
    '00020012': element('UI', '2.25.99'),
  });
  dict.dict = {
    '00080005': element('CS', 'ISO_IR 100'), '00080008': element('CS', 'ORIGINAL', 'PRIMARY', 'AXIAL'), '00080012': element('DA', '20260105'), '00080013': element('TM', '101530'),
    '00080016': element('UI', CT_IMAGE_STORAGE), '00080018': element('UI', STAND_INS.instance), '00080020': element('DA', '20260105'), '00080021': element('DA', '20260105'),
    '00080022': element('DA', '20260105'), '00080023': element('DA', '20260105'), '00080030': element('TM', '101500'), '00080031': element('TM', '101510'), '00080032': element('TM', '101512.5'),
    '00080033': element('TM', '101513.5'), '00080050': element('SH', STAND_INS.accession), '00080060': element('CS', 'CT'), '00080070': element('LO', 'Bench Systems'), '00080080': element('LO', 'Bench Hospital'),
    '00080090': element('PN', { Alphabetic: 'Referrer^Rita' }), '00081010': element('SH', 'CT01'), '00081030': element('LO', 'CT Thorax with contrast'), '0008103E': element('LO', 'Thorax 1.0 B70f'),
    '00081032': element('SQ', code('CTTHX', '99BENCH', 'CT thorax')), '00081040': element('LO', 'Radiology'), '00081090': element('LO', 'Bench CT 64'),
    '00081140': element('SQ', { '00081150': element('UI', CT_IMAGE_STORAGE), '00081155': element('UI', '2.25.777') }),
    '00100010': element('PN', { Alphabetic: 'Bench^Patient' }), '00100020': element('LO', STAND_INS.patientId), '00100030': element('DA', '19500101'), '00100040': element('CS', 'F'), '00101010': element('AS', '076Y'),
    '00180015': element('CS', 'CHEST'), '00180022': element('CS', 'HELICAL'), '00180050': element('DS', '1.0'), '00180060': element('DS', '120'), '00180090': element('DS', '500'), '00181000': element('LO', '12345'),
    '00181020': element('LO', 'VA48A'), '00181030': element('LO', 'Thorax routine'), '00181100': element('DS', '350'), '00181110': element('DS', '1040'), '00181111': element('DS', '570'), '00181120': element('DS', '0'),
    '00181130': element('DS', '150'), '00181140': element('CS', 'CW'), '00181150': element('IS', '500'), '00181151': element('IS', '180'), '00181152': element('IS', '90'), '00181160': element('SH', 'FLAT'),
    '00181170': element('IS', '21'), '00181190': element('DS', '1.2'), '00181210': element('SH', 'B70f'), '00185100': element('CS', 'FFS'),
    '0020000D': element('UI', STAND_INS.study), '0020000E': element('UI', STAND_INS.series), '00200010': element('SH', '1'), '00200011': element('IS', '2'), '00200012': element('IS', '1'), '00200013': element('IS', STAND_INS.number),
    '00200032': element('DS', '-175', '-175', '-100'), '00200037': element('DS', '1', '0', '0', '0', '1', '0'), '00200052': element('UI', '2.25.4242'), '00201040': element('LO', ''), '00201041': element('DS', '-100'),
    '00280002': element('US', 1), '00280004': element('CS', 'MONOCHROME2'), '00280010': element('US', side), '00280011': element('US', side), '00280030': element('DS', '0.683594', '0.683594'),
    '00280100': element('US', 16), '00280101': element('US', 12), '00280102': element('US', 11), '00280103': element('US', 0), '00281050': element('DS', '40'), '00281051': element('DS', '400'),
    '00281052': element('DS', '-1024'), '00281053': element('DS', '1'), '00281054': element('LO', 'HU'), '00400244': element('DA', '20260105'), '00400245': element('TM', '101500'), '00400253': element('SH', '1'),
    '00400275': element('SQ', { '00400007': element('LO', 'CT Thorax'), '00400008': element('SQ', code('CTTHX', '99BENCH', 'CT thorax')), '00400009': element('SH', '1'), '00401001': element('SH', '1') }),
    '7FE00010': { vr: 'OW', Value: [pixels.buffer] },
  };
  return Buffer.from(dict.write());
}
