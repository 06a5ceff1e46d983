/** A counter refuses less than nothing with an exception, and a listener must not throw. */
export const positive = (amount: number): number => (amount > 0 ? amount : 0);
