"""Reads segmentations with highdicom: a list of jobs as JSON on stdin, answers as JSON on stdout.

A job has the path, and the source frames in order, each with SOP Instance UID, frame number and whether its object has several. Of every
segment: the digest of the mask placed by references, one byte a voxel, and how many voxels lie where by the object's own geometry.
"""
import hashlib
import json
import sys

import highdicom
import numpy


def read(job):
    seg = highdicom.seg.segread(job['path'])
    frames = job['frames']
    if job['multiFrame']:
        by_reference = seg.get_pixels_by_source_frame(
            frames[0]['sopInstanceUid'], [frame['frame'] for frame in frames], assert_missing_frames_are_empty=True)
    else:
        by_reference = seg.get_pixels_by_source_instance([frame['sopInstanceUid'] for frame in frames], assert_missing_frames_are_empty=True)
    volume = seg.get_volume(rtol=0.1) if job['isVolume'] else None
    segments = []
    for position, number in enumerate(seg.segment_numbers):
        mask = numpy.ascontiguousarray(by_reference[..., position], dtype=numpy.uint8)
        description = seg.get_segment_description(number)
        answer = {'number': int(number), 'label': description.segment_label, 'sha256': hashlib.sha256(mask.tobytes()).hexdigest(),
                  'trackingUid': str(description.tracking_uid), 'type': description.segmented_property_type.value}
        if volume is not None:
            indices = numpy.argwhere(volume.array[..., position] > 0)
            answer['voxels'] = len(indices)
            if len(indices) > 0:
                answer['centroid'] = volume.map_indices_to_reference(indices).mean(axis=0).tolist()
        segments.append(answer)
    return {'patientName': str(seg.PatientName), 'segments': segments}


json.dump([read(job) for job in json.load(sys.stdin)], sys.stdout)
