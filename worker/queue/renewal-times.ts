// When leases are renewed, and by how much a renewal came too late.

/** Three renewals fit into a lease, so that one may fail and one may be late. */
export const renewalMs = (leaseSeconds: number) => Math.max(250, (leaseSeconds * 1000) / 3);

/** Knows, where the renewals are made, by how much one came after the lease it should have prolonged. */
export class Lateness {
  readonly #leaseMs: number;
  #last = performance.now();

  constructor(leaseSeconds: number) {
    this.#leaseMs = leaseSeconds * 1000;
  }

  /** Milliseconds between the end of the last lease and now; 0 when in time. */
  renewed(): number {
    const now = performance.now();
    const lateMs = Math.max(0, Math.round(now - this.#last - this.#leaseMs));
    this.#last = now;
    return lateMs;
  }
}
