import { describe, expect, it } from 'vitest';
import { negotiateContext, VERIFICATION } from './negotiation.js';

const IMPLICIT = '1.2.840.10008.1.2';

describe('A presentation context', () => {
  it('is accepted for verification and every storage SOP class, private ones too', () => {
    for (const uid of [VERIFICATION, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.5.1.4.1.1.481.3', '1.2.840.10008.5.1.4.34.7', '1.3.46.670589.5.0.3', '1.2.840.113619.4.27']) {
      expect(negotiateContext(uid, [IMPLICIT]), uid).toEqual({ result: 'acceptance', transferSyntaxUid: IMPLICIT });
    }
  });

  it('is refused for other services and for what is no UID', () => {
    for (const uid of ['1.2.840.10008.5.1.4.1.2.2.1', '1.2.840.10008.5.1.4.31', '1.2.840.10008.1.20.1', '1.2.840.10008.5.1.4.38.1', '', 'CT', '1']) {
      expect(negotiateContext(uid, [IMPLICIT]), uid).toEqual({ result: 'abstract-syntax-not-supported' });
    }
  });

  it('gets the first transfer syntax that can be decoded', () => {
    const transferSyntax = (...uids: string[]): unknown => negotiateContext('1.2.840.10008.5.1.4.1.1.2', uids);
    expect(transferSyntax('1.2.840.10008.1.2.4.90', IMPLICIT)).toMatchObject({ transferSyntaxUid: '1.2.840.10008.1.2.4.90' });
    expect(transferSyntax(IMPLICIT, '1.2.840.10008.1.2.4.90')).toMatchObject({ transferSyntaxUid: IMPLICIT });
    expect(transferSyntax('1.2.840.10008.1.2.4.103', '1.2.840.10008.1.2.2')).toMatchObject({ transferSyntaxUid: '1.2.840.10008.1.2.2' });
    expect(transferSyntax('1.2.840.10008.1.2.4.103')).toEqual({ result: 'transfer-syntaxes-not-supported' });
    expect(transferSyntax()).toEqual({ result: 'transfer-syntaxes-not-supported' });
  });
});
