// What the page says, in the language of the browser.

const WORDS = {
  en: {
    title: 'Join a room',
    room: 'Room',
    user: 'User',
    token: 'Access token',
    devHint: 'Development server: without an access token the server gives you one.',
    camera: 'Camera',
    microphone: 'Microphone',
    join: 'Join',
    joining: 'Joining…',
    chat: 'Chat',
    say: 'Message to everybody',
    send: 'Send',
    leave: 'Leave',
    sound: 'Turn sound on',
    muteMicrophone: 'Mute microphone',
    unmuteMicrophone: 'Unmute microphone',
    stopCamera: 'Camera off',
    startCamera: 'Camera on',
    you: 'you',
    muted: 'muted',
    needToken: 'An access token is needed. Your application’s backend makes one.',
    tokenOfOther: 'The access token is for another room or user.',
    refused: 'The server refused',
    failed: 'Could not join',
    reconnecting: 'Connection lost, trying again…',
    duplicate: 'This user joined from somewhere else.',
    removed: 'You were removed from the room.',
    roomEnded: 'The room was closed.',
    serverStopped: 'The server stopped.',
    lost: 'The connection was lost.',
    insecure: 'Camera and microphone need https or localhost.',
    noDevice: 'Not available:',
    noH264: 'This browser cannot show H.264 yet: you hear apps built with the Electron package but do not see them. Firefox loads what it needs by itself; come again in some minutes.',
    tooLong: 'The message is too long.',
    notSent: 'The message was not sent.',
    noClient: 'This server was built without the page’s client library.',
  },
  zh: {
    title: '加入房间',
    room: '房间',
    user: '用户',
    token: '访问令牌',
    devHint: '开发服务器：不填访问令牌时，由服务器签发。',
    camera: '摄像头',
    microphone: '麦克风',
    join: '加入',
    joining: '正在加入…',
    chat: '聊天',
    say: '发送给所有人',
    send: '发送',
    leave: '离开',
    sound: '打开声音',
    muteMicrophone: '静音麦克风',
    unmuteMicrophone: '打开麦克风',
    stopCamera: '关闭摄像头',
    startCamera: '打开摄像头',
    you: '我',
    muted: '已静音',
    needToken: '需要访问令牌，由您的业务后台签发。',
    tokenOfOther: '访问令牌属于其他房间或用户。',
    refused: '服务器拒绝',
    failed: '加入失败',
    reconnecting: '连接已断开，正在重连…',
    duplicate: '该用户已在别处登录。',
    removed: '您已被移出房间。',
    roomEnded: '房间已关闭。',
    serverStopped: '服务器已停止。',
    lost: '连接已断开。',
    insecure: '摄像头和麦克风需要 https 或 localhost。',
    noDevice: '不可用：',
    noH264: '此浏览器目前无法显示 H.264：您能听到 Electron 应用，但看不到其画面。Firefox 会自动下载所需组件，请几分钟后再来。',
    tooLong: '消息过长。',
    notSent: '消息未发送。',
    noClient: '此服务器构建时未包含页面所需的客户端库。',
  },
};

const language = navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';

export const word = (name) => WORDS[language][name];

/** Puts the words into the page. */
export function translate() {
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  document.title = word('title');
  for (const element of document.querySelectorAll('[data-word]')) element.textContent = word(element.dataset.word);
  for (const element of document.querySelectorAll('[data-word-placeholder]')) {
    element.placeholder = word(element.dataset.wordPlaceholder);
  }
}
