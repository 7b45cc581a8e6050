import { csrfToken } from './csrf.mjs';

// Bull Board asks with XMLHttpRequest: what changes something carries the token that goes with the cookie.
const { open, send } = XMLHttpRequest.prototype;
const methods = new WeakMap();

XMLHttpRequest.prototype.open = function (method, ...rest) {
  methods.set(this, String(method).toUpperCase());
  return open.call(this, method, ...rest);
};

XMLHttpRequest.prototype.send = function (body) {
  const token = csrfToken();
  if (token !== undefined && !['GET', 'HEAD'].includes(methods.get(this) ?? 'GET')) this.setRequestHeader('X-CSRF-Token', token);
  return send.call(this, body);
};
