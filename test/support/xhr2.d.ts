declare module 'xhr2' {
  /** XMLHttpRequest over Node's own HTTP. */
  const XMLHttpRequest: new () => object;
  export default XMLHttpRequest;
}
