//! An application with windows of one colour.

use media::video::screen::Area;
use x11rb::COPY_DEPTH_FROM_PARENT;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    AtomEnum, ConfigureWindowAux, ConnectionExt as _, CreateWindowAux, PropMode, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

pub const RED: u32 = 0xff_0000;
pub const GREEN: u32 = 0x00_ff00;
pub const BLUE: u32 = 0x00_00ff;

/// Its windows go with it.
pub struct Painter {
    connection: RustConnection,
    root: Window,
}

impl Painter {
    pub fn new() -> Self {
        let (connection, number) = x11rb::connect(None).unwrap();
        let root = connection.setup().roots[number].root;
        Self { connection, root }
    }

    pub fn window(&self, title: &str, area: Area, colour: u32) -> Window {
        let window = self.connection.generate_id().unwrap();
        let look = CreateWindowAux::new().background_pixel(colour);
        self.connection
            .create_window(
                COPY_DEPTH_FROM_PARENT,
                window,
                self.root,
                area.x as i16,
                area.y as i16,
                area.width as u16,
                area.height as u16,
                0,
                WindowClass::INPUT_OUTPUT,
                0,
                &look,
            )
            .unwrap();
        let atom = |name: &str| self.connection.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom;
        let (name, utf8) = (atom("_NET_WM_NAME"), atom("UTF8_STRING"));
        self.connection.change_property8(PropMode::REPLACE, window, name, utf8, title.as_bytes()).unwrap();
        let latin1 = AtomEnum::STRING;
        self.connection.change_property8(PropMode::REPLACE, window, AtomEnum::WM_NAME, latin1, b"old name").unwrap();
        self.show(window);
        window
    }

    pub fn show(&self, window: Window) {
        self.connection.map_window(window).unwrap();
        self.connection.sync().unwrap();
    }

    pub fn hide(&self, window: Window) {
        self.connection.unmap_window(window).unwrap();
        self.connection.sync().unwrap();
    }

    pub fn close(&self, window: Window) {
        self.connection.destroy_window(window).unwrap();
        self.connection.sync().unwrap();
    }

    pub fn resize(&self, window: Window, width: u32, height: u32) {
        let size = ConfigureWindowAux::new().width(width).height(height);
        self.connection.configure_window(window, &size).unwrap();
        self.connection.sync().unwrap();
    }

    pub fn point_at(&self, x: i16, y: i16) {
        self.connection.warp_pointer(x11rb::NONE, self.root, 0, 0, 0, 0, x, y).unwrap();
        self.connection.sync().unwrap();
    }
}
