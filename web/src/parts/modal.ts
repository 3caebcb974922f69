// Dialogs of the browser itself: they keep the focus, and give it back to where it was, however they end.

/** Opens a dialog. What is given back is to be called once it is gone. */
export function openModal(dialog: HTMLDialogElement): () => void {
  const before = document.activeElement
  dialog.showModal()
  return () => {
    const isLost = document.activeElement === null || document.activeElement === document.body
    if (isLost && before instanceof HTMLElement && before.isConnected) before.focus()
  }
}
