require('../../call/app/main.js');
