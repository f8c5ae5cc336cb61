export { decodePages, storePage, clearPage } from './decode-pages';
export { syncDirtyLog, markAllDirty, clearMigrationBitmap } from './dirty-log';
export { encodePages } from './encode-pages';
export { guestFillMatches, guestFillWrite, guestIsZero } from './guest-fill';
export { guestLedgerLoad, guestLedgerStore, guestLedgerSum, guestMarkDirty } from './guest-ledger';
export { guestPageMatches, guestPageWrite } from './guest-page';
