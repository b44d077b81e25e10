// Starts the page with a model that runs in this browser.

Promise.all([import('./page.js'), import('./local.js')]).then(
  ([page, local]) => page.start(local.connect),
  (error) => {
    const message = document.getElementById('message');
    message.textContent = `A file of this page is missing: ${error.message}`;
    message.hidden = false;
  },
);
