// The model beside the page, so that the page stays smooth. This is a classic
// script, since LiteRT loads its code by importScripts.

const following = import('./following.js');
let last = following;  // what is done now; messages are answered in their order

onmessage = ({data}) => {
  const {stream} = data;
  last = last.then(async () => {
    const answer = await (await following).hear(data);
    postMessage({...answer, stream});
  }).catch((error) => postMessage({failed: error.message, stream}));
};
