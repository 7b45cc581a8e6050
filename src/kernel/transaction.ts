declare const transactionBrand: unique symbol;
declare const conditionBrand: unique symbol;

/**
 * An open database transaction. Opaque: only `platform/database` makes one and only stores look inside,
 * so that a service can span several stores without seeing Prisma.
 */
export interface Transaction {
  readonly [transactionBrand]: true;
}

/** What a statement of one store may depend on in rows of another: a query that gives a row, or none. Opaque, as a transaction is. */
export interface RowCondition {
  readonly [conditionBrand]: true;
}
