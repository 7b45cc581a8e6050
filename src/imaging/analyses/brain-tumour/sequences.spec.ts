import { describe, expect, it } from 'vitest';
import type { DicomJson } from '../../dicom/dicom-json.js';
import { tagOf } from '../../dicom/dictionary.js';
import { frameAttributes } from '../../dicom/functional-groups.js';
import { classifySequence } from './sequences.js';

type Facts = Record<string, string | number | string[]>;

function attributesOf(facts: Facts): DicomJson {
  return Object.fromEntries(Object.entries(facts).map(([keyword, value]) => [tagOf(keyword), { vr: typeof value === 'number' ? 'DS' : 'LO', Value: Array.isArray(value) ? value : [value] }]));
}

function roleOf(facts: Facts): string {
  const verdict = classifySequence(attributesOf(facts));
  return verdict.kind === 'role' ? verdict.role : `other: ${verdict.reason}`;
}

const named = (description: string): Facts => ({ SeriesDescription: description });

describe('classifySequence', () => {
  it.each<[string, string]>([
    ['AX T1 SE', 't1'], ['t1_fl2d_tra', 't1'], ['T1 MPRAGE', 't1'], ['SAG 3D BRAVO', 't1'], ['T1WI平扫', 't1'], ['轴位T1', 't1'], ['AX T1 PRE GAD', 't1'], ['T1 without contrast', 't1'], ['t1n', 't1'], ['Ax T1 FLAIR', 't1'],
    ['T1横断位压水', 't1'], ['T1 NON-CONTRAST', 't1'], ['T1 -C', 't1'], ['AX T1 POSTERIOR FOSSA', 't1'], ['t1_tirm_tra_dark-fluid', 't1'],
    ['AX T1 +C', 't1c'], ['T1 POST', 't1c'], ['AX T1 POST GD FS', 't1c'], ['T1WI增强', 't1c'], ['横断T1强化', 't1c'], ['t1_mprage_tra_KM', 't1c'], ['T1C', 't1c'], ['T1CE', 't1c'], ['t1c', 't1c'], ['3D T1 Gadovist', 't1c'], ['T1W+C', 't1c'],
    ['AX T2 FSE', 't2'], ['t2_tse_tra', 't2'], ['T2WI', 't2'], ['横断位T2加权', 't2'], ['T2W_TSE', 't2'], ['t2w', 't2'], ['T2 压脂', 't2'],
    ['AX FLAIR', 'flair'], ['t2_tirm_tra_dark-fluid', 'flair'], ['Ax T2 FLAIR PROPELLER', 'flair'], ['T2压水', 'flair'], ['轴位 压水', 'flair'], ['T2WI_FLAIR', 'flair'], ['t2f', 'flair'], ['fla', 'flair'], ['T2 水抑制', 'flair'],
  ])('takes a series called %s for %s', (description, role) => {
    expect(roleOf(named(description))).toBe(role);
  });

  it.each<[string, string]>([
    ['DWI b=1000', 'diffusion'], ['弥散加权', 'diffusion'], ['ADC (10^-6 mm²/s)', 'diffusion'], ['ep2d_perf', 'perfusion'], ['SWI_Images', 'susceptibility'], ['AX T2* GRE', 'susceptibility'], ['3D TOF MRA', 'angiogram'], ['LOCALIZER', 'localizer'], ['定位像', 'localizer'],
    ['T1 SUBTRACTION', 'subtracted'], ['AX PD', 'proton density'], ['COR STIR', 'STIR'], ['Brain', 'Nothing says'],
  ])('leaves a series called %s, with a reason', (description, reason) => {
    expect(roleOf(named(description))).toContain(reason);
  });

  it.each<[string, Facts, string]>([
    ['spin echo with short times', { RepetitionTime: 550, EchoTime: 9, ScanningSequence: 'SE' }, 't1'],
    ['an inverted gradient echo', { RepetitionTime: 2300, EchoTime: 2.98, InversionTime: 900, ScanningSequence: ['GR', 'IR'] }, 't1'],
    ['spin echo with long times', { RepetitionTime: 4500, EchoTime: 96, ScanningSequence: 'SE' }, 't2'],
    ['an inversion that nulls water', { RepetitionTime: 9000, EchoTime: 120, InversionTime: 2500, ScanningSequence: ['SE', 'IR'] }, 'flair'],
    ['short times and a contrast agent', { RepetitionTime: 550, EchoTime: 9, ScanningSequence: 'SE', ContrastBolusAgent: 'Gadovist' }, 't1c'],
    ['a contrast agent that says there was none', { RepetitionTime: 550, EchoTime: 9, ScanningSequence: 'SE', ContrastBolusAgent: 'NONE' }, 't1'],
    ['water nulled after contrast agent', { SeriesDescription: 'AX FLAIR +C', ContrastBolusAgent: 'Gd' }, 'flair'],
    ['a description without contrast before what is recorded for the whole examination', { SeriesDescription: 'T1 平扫', ContrastBolusAgent: 'Gd-DTPA' }, 't1'],
    ['a protocol for the whole examination, which says nothing of contrast', { SeriesDescription: 'AX T1', ProtocolName: 'BRAIN W/WO CONTRAST' }, 't1'],
    ['full-width letters', { SeriesDescription: 'Ｔ１ＷＩ＋Ｃ' }, 't1c'],
  ])('reads %s', (_, facts, role) => {
    expect(roleOf(facts)).toBe(role);
  });

  it('reads the functional groups of enhanced objects', () => {
    const group = (keyword: string, facts: Facts): DicomJson => ({ [tagOf(keyword)]: { vr: 'SQ', Value: [attributesOf(facts)] } });
    const enhanced: DicomJson = {
      [tagOf('SharedFunctionalGroupsSequence')]: { vr: 'SQ', Value: [{ ...group('MRTimingAndRelatedParametersSequence', { RepetitionTime: 9000 }), ...group('MREchoSequence', { EffectiveEchoTime: 120 }), ...group('MRModifierSequence', { InversionTimes: ['2500'] }) }] },
      [tagOf('PerFrameFunctionalGroupsSequence')]: { vr: 'SQ', Value: [group('MRImageFrameTypeSequence', { AcquisitionContrast: 'FLUID_ATTENUATED' })] },
    };
    expect(classifySequence(frameAttributes(enhanced, 0))).toMatchObject({ role: 'flair', reason: 'FLAIR: the scanner recorded the contrast FLAIR, TR 9000 ms, TE 120 ms, TI 2500 ms.' });
    const after: DicomJson = { ...attributesOf({ SeriesDescription: 'T1' }), ...attributesOf({ ContrastBolusAgentPhase: 'DYNAMIC' }) };
    expect(classifySequence(after)).toMatchObject({ role: 't1c' });
  });

  it('repeats nothing that people wrote', () => {
    const verdict = classifySequence(attributesOf({ SeriesDescription: 'Smith John T1 +C', ProtocolName: 'Smith T1' }));
    expect(verdict.reason).toBe('T1 with contrast agent: its description says T1, its protocol says T1, its description names contrast agent.');
  });
});
