/** What goes along as `X-CSRF-Token` with a call that changes something; undefined without a sign-in. */
export function csrfToken() {
  return /(?:^|; )hv_csrf=([^;]+)/.exec(document.cookie)?.[1];
}
