declare const transactionBrand: unique symbol;

/**
 * An open database transaction. Opaque: only `platform/database` makes one and only stores look inside,
 * so that a service can span several stores without seeing Prisma.
 */
export interface Transaction {
  readonly [transactionBrand]: true;
}
