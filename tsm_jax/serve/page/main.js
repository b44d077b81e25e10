// Starts the page with a model that the server runs.
import * as live from './live.js';
import * as page from './page.js';

page.start(live.connect);
