import { createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canonicalText, eventOf, hasMac, macOf, type AuditDraft, type StoredAuditEvent } from './audit-event.js';
import { BEGINNING, sealHash } from './audit-chain.js';

const key = createSecretKey(randomBytes(32));
const draft: AuditDraft = { institutionId: '0198c0de-0000-7000-8000-000000000000', actorKind: 'user', action: 'getStudy', outcome: 'succeeded' };

function stored(changed: Partial<AuditDraft> = {}): StoredAuditEvent {
  const event = eventOf({ ...draft, ...changed });
  return { ...event, sequence: 1n, mac: macOf(event, key) };
}

describe('an audit event', () => {
  it('keeps only what is an id in its lists, each once, and says how many were cut', () => {
    const uids = Array.from({ length: 600 }, (_, index) => `1.2.${String(index)}`);
    const event = eventOf({ ...draft, patientIds: ['Doe^John', '0198c0de-0000-7000-8000-0000000000aa', '0198c0de-0000-7000-8000-0000000000aa'], studyInstanceUids: [...uids, 'x', '1.2.1'] });
    expect(event.patientIds).toEqual(['0198c0de-0000-7000-8000-0000000000aa']);
    expect(event.studyInstanceUids).toHaveLength(500);
    expect(event.details).toEqual({ studies: 600 });
  });

  it('holds nothing that PostgreSQL would refuse', () => {
    expect(eventOf({ ...draft, reason: 'a\0b\ud800c', details: { 'text': '\0' }, actorId: 'not-an-id' })).toMatchObject({ reason: 'a�b�c', details: { text: '�' }, actorId: null });
  });

  it('is as PostgreSQL will give it back, whichever letters an id was asked for in', () => {
    const event = eventOf({ ...draft, institutionId: draft.institutionId.toUpperCase(), patientIds: ['0198C0DE-0000-7000-8000-0000000000AA', '0198c0de-0000-7000-8000-0000000000aa'] });
    expect(event).toMatchObject({ institutionId: draft.institutionId, patientIds: ['0198c0de-0000-7000-8000-0000000000aa'] });
  });

  it('does not fit its MAC with a time that the application cannot have written', () => {
    // The driver's `infinity`.
    expect(hasMac({ ...stored(), at: Infinity as unknown as Date }, key)).toBe(false);
  });

  it('has another text for every other content, and the same whatever the order of its details', () => {
    const event = eventOf(draft, 0);
    const texts = [event, { ...event, code: '' }, { ...event, reason: 'null' }, { ...event, patientIds: ['a'] }, { ...event, studyInstanceUids: ['a'] }, { ...event, status: 0 }, { ...event, details: { a: 1 } }, { ...event, at: new Date(1) }].map(canonicalText);
    expect(new Set(texts).size).toBe(texts.length);
    expect(canonicalText({ ...event, details: { a: 1, b: 2 } })).toBe(canonicalText({ ...event, details: { b: 2, a: 1 } }));
  });

  it('carries a MAC that no other content and no other key gives', () => {
    const event = stored();
    expect(hasMac(event, key)).toBe(true);
    expect(hasMac({ ...event, outcome: 'refused' }, key)).toBe(false);
    expect(hasMac(event, createSecretKey(randomBytes(32)))).toBe(false);
    expect(hasMac({ ...event, mac: event.mac.subarray(1) }, key)).toBe(false);
  });
});

describe('a seal', () => {
  it('depends on its place, its time, the seal before and all of its event, sequence and MAC included', () => {
    const event = stored();
    const seal = { institutionId: draft.institutionId, position: 1n, sealedAt: new Date(0) };
    const hashes = [
      sealHash(BEGINNING, seal, event), sealHash(randomBytes(32), seal, event), sealHash(BEGINNING, { ...seal, position: 2n }, event), sealHash(BEGINNING, { ...seal, sealedAt: new Date(1) }, event),
      sealHash(BEGINNING, seal, { ...event, sequence: 2n }), sealHash(BEGINNING, seal, { ...event, mac: randomBytes(32) }), sealHash(BEGINNING, seal, { ...event, requestId: 'x' }),
    ].map((hash) => hash.toString('hex'));
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});
