import { describe, expect, it } from 'vitest';
import { asLogin } from './connection.js';

describe('a URL under another login', () => {
  it.each([
    ['postgresql://owner:pass@db.test:5432/house?sslmode=require', 'postgresql://app:s%2Fe%40@db.test:5432/house?sslmode=require'],
    ['postgres://db.test/house', 'postgres://app:s%2Fe%40@db.test/house'],
    ['postgresql://owner@/house?host=/run/postgresql', 'postgresql://app:s%2Fe%40@/house?host=/run/postgresql'],
    ['postgresql:///house?user=owner&host=/run/postgresql&password=pass', 'postgresql://app:s%2Fe%40@/house?host=/run/postgresql'],
    ['postgresql://[::1]:5433/house?user=owner', 'postgresql://app:s%2Fe%40@[::1]:5433/house'],
  ])('keeps the place: %s', (url, expected) => { expect(asLogin(url, 'app', 's/e@')).toBe(expected); });
});
