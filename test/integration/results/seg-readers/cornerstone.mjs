// Reads segmentations as OHIF does, with @cornerstonejs/adapters, in a process of its own. Wants a file with a list of jobs, each a path and
// the source images in order; prints for each job the digest of every segment's mask, one byte a voxel, image behind image.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { register } from 'node:module';

// The package names Babel's runtime as a peer; it needs three functions of it.
const HELPERS = {
  defineProperty: 'export default (object, key, value) => Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });',
  slicedToArray: 'export default (list, length) => Array.from(list).slice(0, length);',
  objectWithoutProperties: 'export default (object, keys) => Object.fromEntries(Object.entries(object ?? {}).filter(([key]) => !keys.includes(key)));',
};
register(`data:text/javascript,${encodeURIComponent(`
const HELPERS = ${JSON.stringify(HELPERS)};
export async function resolve(specifier, context, next) {
  const helper = HELPERS[/^@babel\\/runtime\\/helpers\\/(.+)$/.exec(specifier)?.[1]];
  return helper === undefined ? next(specifier, context) : { url: 'data:text/javascript,' + encodeURIComponent(helper), shortCircuit: true };
}`)}`);

const { metaData, cache } = await import('@cornerstonejs/core');
const { adaptersSEG } = await import('@cornerstonejs/adapters');

const modules = new Map();
const provider = { get: (type, imageId) => modules.get(imageId)?.[type], addCustomMetadata: (imageId, type, value) => modules.set(imageId, { ...modules.get(imageId), [type]: value }) };
metaData.addProvider(provider.get, 10_000);

const answers = [];
for (const { path, images } of JSON.parse(readFileSync(process.argv[2], 'utf8'))) {
  for (const image of images) modules.set(image.imageId, modulesOf(image));
  const bytes = readFileSync(path);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const { labelMapImages, segMetadata } = await adaptersSEG.Cornerstone3D.Segmentation.createFromDICOMSegBuffer(images.map(({ imageId }) => imageId), buffer, { metadataProvider: provider, tolerance: 1e-3 });
  const area = images[0].rows * images[0].columns;
  const segments = segMetadata.data.flatMap((segment, number) => {
    if (!segment) return [];
    const mask = new Uint8Array(area * images.length);
    for (const group of labelMapImages) {
      for (const [slice, image] of group.entries()) {
        const values = image?.voxelManager?.getScalarData() ?? image?.getPixelData();
        if (values) for (let pixel = 0; pixel < area; pixel++) if (values[pixel] === number) mask[slice * area + pixel] = 1;
      }
    }
    return [{ number, label: segment.SegmentLabel, sha256: createHash('sha256').update(mask).digest('hex') }];
  });
  answers.push({ segments });
  modules.clear();
  cache.purgeCache();
}
process.stdout.write(`\n${JSON.stringify(answers)}\n`);
process.exit(0);

function modulesOf({ sopInstanceUid, seriesInstanceUid, frameOfReferenceUid, rows, columns, position, across, down, spacing }) {
  return {
    instance: { SOPInstanceUID: sopInstanceUid, SeriesInstanceUID: seriesInstanceUid, FrameOfReferenceUID: frameOfReferenceUid, Rows: rows, Columns: columns, ImagePositionPatient: position },
    generalImageModule: { sopInstanceUID: sopInstanceUid },
    generalSeriesModule: { seriesInstanceUID: seriesInstanceUid, modality: 'CT' },
    imagePixelModule: { rows, columns, bitsAllocated: 16, bitsStored: 16, samplesPerPixel: 1, highBit: 15, photometricInterpretation: 'MONOCHROME2', pixelRepresentation: 1 },
    imagePlaneModule: {
      frameOfReferenceUID: frameOfReferenceUid, rows, columns, imagePositionPatient: position, imageOrientationPatient: [...across, ...down], rowCosines: across, columnCosines: down,
      rowPixelSpacing: spacing[1], columnPixelSpacing: spacing[0], pixelSpacing: [spacing[1], spacing[0]],
    },
  };
}
