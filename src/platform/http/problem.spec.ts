import { BadRequestException, NotFoundException } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { AppError, ERROR_CODES } from '../../kernel/errors.js';
import { asAppError } from './problem.filter.js';
import { languageOf, problemOf } from './problem.js';

describe('problem details', () => {
  it('carry code, status, title and request id', () => {
    expect(problemOf(new AppError('study-not-found'), 'r-1', 'en')).toEqual({ type: 'urn:healthvision:problem:study-not-found', title: 'No such study', status: 404, code: 'study-not-found', requestId: 'r-1' });
  });

  it('have their title in the caller’s language', () => {
    expect(problemOf(new AppError('forbidden'), 'r', 'zh-CN').title).toBe('没有权限');
  });

  it('never carry the message of an unknown error', () => {
    const problem = problemOf(asAppError(new Error('Müller^Hans is not unique')), 'r', 'en');
    expect(problem).toEqual({ type: 'urn:healthvision:problem:internal', title: ERROR_CODES.internal.en, status: 500, code: 'internal', requestId: 'r' });
  });

  it.each([
    [new NotFoundException('Cannot GET /x'), 'not-found'],
    [new BadRequestException('Unexpected token'), 'bad-request'],
    [Object.assign(new Error('too big'), { statusCode: 413 }), 'payload-too-large'],
    [Object.assign(new Error('no room'), { code: 'ENOSPC' }), 'storage-full'],
    [Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }), 'database-unavailable'],
  ])('map %s', (error, code) => { expect(asAppError(error).code).toBe(code); });
});

describe('the language of an answer', () => {
  it.each([
    [undefined, 'en'], ['', 'en'], ['de', 'en'], ['zh-CN', 'zh-CN'], ['zh', 'zh-CN'], ['en;q=0.5, zh-CN', 'zh-CN'], ['zh-CN;q=0.1,en', 'en'], ['fr, zh;q=0', 'en'],
  ])('%s gives %s', (header, language) => { expect(languageOf(header)).toBe(language); });
});
