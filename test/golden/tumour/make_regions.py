"""Golden numbers for the masks of the brain-tumour cascade, made with scipy.ndimage 1.x: python make_regions.py > regions.json

The input is made of integers that TypeScript makes too, so that nothing but sums is stored.
"""
import json
import numpy as np
from scipy import ndimage

SIZE = (14, 17, 19)  # slices, rows, columns


def blobs(seed, threshold):
    """A mask of smoothed noise: a linear congruential generator, three times averaged over 3 voxels along each axis, in whole numbers."""
    values, state = np.zeros(int(np.prod(SIZE)), np.int64), seed
    for i in range(values.size):
        state = (state * 1103515245 + 12345) % 2147483648
        values[i] = state >> 16
    field = values.reshape(SIZE)
    for _ in range(2):
        for axis in range(3):
            padded = np.pad(field, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode='edge')
            take = lambda n: np.take(padded, range(n, n + field.shape[axis]), axis)
            field = (take(0) + take(1) + take(2)) // 3
    return field > threshold


def checksum(mask):
    """Position-dependent, so that a shift shows."""
    at = np.flatnonzero(mask)
    return [int(at.size), int((at % 9973).sum()), int(((at * 31) % 10007).sum())]


structure = ndimage.generate_binary_structure(3, 2)
cases = []
for seed, threshold in [(1, 16500), (2, 16900), (3, 17300), (4, 17700)]:
    mask = blobs(seed, threshold)
    closed = ndimage.binary_closing(mask, structure)
    labels, count = ndimage.label(mask, structure)
    sizes = sorted((int(n) for n in ndimage.sum(mask, labels, range(1, count + 1))), reverse=True)
    cases.append({'seed': seed, 'threshold': threshold, 'mask': checksum(mask), 'closed': checksum(closed), 'sizes': sizes[:10], 'components': count})
print(json.dumps({'size': [SIZE[2], SIZE[1], SIZE[0]], 'cases': cases}))
